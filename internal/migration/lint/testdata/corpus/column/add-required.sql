-- corpus: errors column-required
-- +goose Up
ALTER TABLE users ADD COLUMN country text NOT NULL;
