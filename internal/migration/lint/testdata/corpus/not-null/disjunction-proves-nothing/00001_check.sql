-- corpus: errors not-null-scans
-- +goose Up
ALTER TABLE users ADD CONSTRAINT c1 CHECK (email IS NOT NULL OR phone IS NOT NULL) NOT VALID;
