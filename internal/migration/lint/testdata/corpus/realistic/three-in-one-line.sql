-- corpus: errors drop-table
ALTER TABLE users ADD COLUMN a int; DROP TABLE sessions; SELECT 1;
