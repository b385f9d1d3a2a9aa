-- corpus: errors not-null-scans write-whole-table
-- +goose Up
UPDATE users SET email = '' WHERE email IS NULL;
ALTER TABLE users ALTER COLUMN email SET NOT NULL;
