-- corpus: errors write-whole-table backfill-under-lock
BEGIN;
CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();
UPDATE users SET email = email;
COMMIT;
