-- corpus: errors not-null-scans
-- +goose Up
ALTER TABLE users ADD CONSTRAINT c1 CHECK (name IS NOT NULL) NOT VALID;
