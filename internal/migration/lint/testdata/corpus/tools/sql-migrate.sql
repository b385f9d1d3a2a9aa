-- corpus: errors drop-column
-- +migrate Up
ALTER TABLE users DROP COLUMN a;
-- +migrate Down
ALTER TABLE users ADD COLUMN a int;
