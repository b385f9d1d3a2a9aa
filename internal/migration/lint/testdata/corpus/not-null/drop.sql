-- corpus: warnings drop-not-null
-- +goose Up
ALTER TABLE users ALTER COLUMN phone DROP NOT NULL;
