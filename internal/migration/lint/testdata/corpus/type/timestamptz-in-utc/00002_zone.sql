-- corpus: warnings type-change
-- +goose Up
SET LOCAL timezone = 'UTC';
ALTER TABLE users ALTER COLUMN at TYPE timestamptz;
