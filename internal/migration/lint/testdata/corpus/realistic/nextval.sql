-- corpus: errors default-rewrites
ALTER TABLE users ADD COLUMN b bigint DEFAULT nextval('s');
