-- corpus: warnings type-change
-- +goose Up
ALTER TABLE users ALTER COLUMN name TYPE text;
