-- corpus: errors default-rewrites
-- +goose Up
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
ALTER TABLE users ADD COLUMN discount percent;
