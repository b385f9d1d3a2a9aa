-- corpus: errors check-scans
-- +goose Up
ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0);
