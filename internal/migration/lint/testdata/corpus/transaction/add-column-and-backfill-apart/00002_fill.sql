-- +goose Up
UPDATE users SET country = 'DE' WHERE country IS NULL;
