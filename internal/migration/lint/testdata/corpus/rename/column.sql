-- corpus: errors rename
-- +goose Up
ALTER TABLE users RENAME COLUMN name TO full_name;
