-- corpus: errors not-null-scans
ALTER TABLE IF EXISTS users ALTER COLUMN email SET NOT NULL;
