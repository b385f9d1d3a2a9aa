-- corpus: errors default-rewrites
-- +goose Up
ALTER TABLE users ADD COLUMN bucket int DEFAULT (floor(random() * 100))::int;
