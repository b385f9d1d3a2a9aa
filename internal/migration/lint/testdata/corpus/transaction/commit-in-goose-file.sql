-- corpus: errors transaction-control
-- +goose Up
ALTER TABLE users ADD COLUMN a int;
COMMIT;
ALTER TABLE users ADD COLUMN b int;
