-- corpus: errors transaction-control
-- +goose Up
BEGIN;
ALTER TABLE users ADD COLUMN a int;
COMMIT;
