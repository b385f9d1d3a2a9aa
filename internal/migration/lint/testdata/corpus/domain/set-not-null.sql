-- corpus: errors domain-scans
-- +goose Up
ALTER DOMAIN percent SET NOT NULL;
