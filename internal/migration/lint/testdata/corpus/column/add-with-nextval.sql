-- corpus: errors default-rewrites
-- +goose Up
CREATE SEQUENCE users_number;
ALTER TABLE users ADD COLUMN number bigint DEFAULT nextval('users_number');
