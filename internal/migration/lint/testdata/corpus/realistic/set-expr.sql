-- corpus: errors generated-rewrites
ALTER TABLE t ALTER COLUMN g SET EXPRESSION AS (a * 3);
