-- +goose Up
UPDATE users SET country = 'DE' WHERE id >= 1000 AND id < 2000;
UPDATE users SET country = 'DE' WHERE id BETWEEN 2000 AND 2999;
