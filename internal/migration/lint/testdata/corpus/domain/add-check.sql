-- corpus: errors domain-scans
-- +goose Up
ALTER DOMAIN percent ADD CONSTRAINT upper CHECK (VALUE <= 100);
