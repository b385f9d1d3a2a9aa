-- corpus: errors write-whole-table
-- +goose NO TRANSACTION
-- +goose Up
UPDATE users SET country = 'DE' WHERE country IS NULL;
