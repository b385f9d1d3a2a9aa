-- corpus: errors transaction-control
BEGIN;
BEGIN;
ALTER TABLE users ADD COLUMN a int;
COMMIT;
