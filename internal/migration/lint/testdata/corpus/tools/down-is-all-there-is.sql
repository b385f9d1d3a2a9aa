-- corpus: errors drop-column
-- Down
ALTER TABLE widgets DROP COLUMN size;
