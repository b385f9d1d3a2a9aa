-- +goose Up
ALTER TABLE users ADD COLUMN a int;
ALTER TABLE users ADD COLUMN b int;
