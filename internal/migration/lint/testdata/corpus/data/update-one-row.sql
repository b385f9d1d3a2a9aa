-- +goose Up
UPDATE settings SET value = '10' WHERE key = 'page_size';
UPDATE plans SET price = 10 WHERE id IN (1, 2, 3);
