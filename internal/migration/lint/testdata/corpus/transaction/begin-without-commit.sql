-- corpus: errors transaction-control
BEGIN;
ALTER TABLE users ADD COLUMN a int;
