-- corpus: errors write-whole-table
-- +goose Up
ALTER TABLE users ADD COLUMN country text;
