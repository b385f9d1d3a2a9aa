-- corpus: warnings drop-default
-- +goose Up
ALTER TABLE users ALTER COLUMN level DROP DEFAULT;
