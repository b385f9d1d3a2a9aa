-- corpus: errors serial-rewrites
-- +goose Up
ALTER TABLE users ADD COLUMN number bigserial;
