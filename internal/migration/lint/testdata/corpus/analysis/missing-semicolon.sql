-- corpus: errors file-format
-- +goose Up
ALTER TABLE users ADD COLUMN a int
