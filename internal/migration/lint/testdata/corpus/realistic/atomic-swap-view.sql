-- corpus: warnings rename
BEGIN;
SET LOCAL lock_timeout = '1s';
ALTER TABLE users RENAME TO accounts;
CREATE VIEW users AS SELECT * FROM accounts;
COMMIT;
