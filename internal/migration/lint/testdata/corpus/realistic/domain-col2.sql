-- corpus: errors default-rewrites
CREATE DOMAIN checked AS text CHECK (VALUE <> '');
ALTER TABLE t ADD COLUMN p checked DEFAULT 'x';
