-- corpus: errors write-whole-table
BEGIN;
UPDATE users SET a = 0;
ALTER TABLE users ALTER COLUMN a SET DEFAULT 0;
COMMIT;
