-- corpus: errors drop-table
DROP TABLE a, b CASCADE;
