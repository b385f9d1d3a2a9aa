-- corpus: warnings json-column
-- +goose Up
ALTER TABLE users ADD COLUMN raw json;
