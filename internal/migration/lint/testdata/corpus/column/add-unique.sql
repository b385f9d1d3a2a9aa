-- corpus: errors constraint-builds-index
-- +goose Up
ALTER TABLE users ADD COLUMN handle text UNIQUE;
