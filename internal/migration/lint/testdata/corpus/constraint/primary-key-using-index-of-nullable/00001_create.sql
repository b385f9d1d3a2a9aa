-- corpus: errors primary-key-scans
-- corpus: history
-- +goose Up
CREATE TABLE audit (id bigint, at timestamptz);
