-- corpus: errors write-whole-table backfill-under-lock
-- +goose Up
ALTER TABLE users ADD COLUMN country text;
UPDATE users SET country = 'DE';
