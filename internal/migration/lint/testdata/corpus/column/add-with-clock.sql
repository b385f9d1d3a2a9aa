-- corpus: errors default-rewrites
-- +goose Up
ALTER TABLE users ADD COLUMN seen_at timestamptz NOT NULL DEFAULT clock_timestamp();
