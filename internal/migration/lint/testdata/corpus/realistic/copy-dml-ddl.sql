-- corpus: errors backfill-under-lock write-whole-table
BEGIN;
ALTER TABLE users ADD COLUMN a int;
INSERT INTO users_archive SELECT * FROM users;
COMMIT;
