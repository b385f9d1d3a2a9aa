-- corpus: errors drop-column
-- +goose Up
ALTER TABLE users DROP COLUMN IF EXISTS legacy_name;
