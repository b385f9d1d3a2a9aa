-- corpus: errors not-null-scans write-whole-table
ALTER TABLE users ALTER COLUMN a SET DEFAULT 0;
UPDATE users SET a = 0 WHERE a IS NULL;
ALTER TABLE users ALTER COLUMN a SET NOT NULL;
