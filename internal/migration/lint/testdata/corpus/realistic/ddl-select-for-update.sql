-- corpus: errors write-whole-table
BEGIN;
SELECT * FROM users FOR UPDATE;
UPDATE users SET a = 1;
COMMIT;
