-- corpus: errors explicit-lock
BEGIN;
LOCK TABLE users;
ALTER TABLE users ADD COLUMN a int;
COMMIT;
