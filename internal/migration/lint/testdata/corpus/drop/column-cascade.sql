-- corpus: errors drop-column
ALTER TABLE users DROP COLUMN legacy_name CASCADE;
