-- corpus: errors generated-rewrites
-- +goose Up
ALTER TABLE users ADD COLUMN search tsvector GENERATED ALWAYS AS (to_tsvector('simple', name)) STORED;
