-- corpus: errors check-scans
-- +goose Up
ALTER TABLE users ADD COLUMN age int CHECK (age > 0);
