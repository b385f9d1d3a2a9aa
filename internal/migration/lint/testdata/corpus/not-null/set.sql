-- corpus: errors not-null-scans
-- +goose Up
ALTER TABLE users ALTER COLUMN email SET NOT NULL;
