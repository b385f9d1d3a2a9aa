-- +goose Up
UPDATE users SET country = 'DE' WHERE id IN (SELECT id FROM users WHERE country IS NULL ORDER BY id LIMIT 1000);
