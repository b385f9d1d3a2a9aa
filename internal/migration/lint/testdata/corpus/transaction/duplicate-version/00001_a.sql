-- corpus: errors duplicate-version
-- +goose Up
ALTER TABLE users ADD COLUMN a int;
