-- corpus: errors not-null-scans
-- +goose Up
ALTER TABLE users ADD COLUMN country text DEFAULT 'DE';
ALTER TABLE users ALTER COLUMN country SET NOT NULL;
