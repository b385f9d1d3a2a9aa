-- +goose Up
ALTER TABLE users ADD COLUMN a int;

-- +goose Down
ALTER TABLE users DROP COLUMN a;
DROP TABLE users;
