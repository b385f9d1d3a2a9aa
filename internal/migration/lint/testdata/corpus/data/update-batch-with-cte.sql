-- +goose Up
WITH batch AS (SELECT id FROM users WHERE country IS NULL LIMIT 1000 FOR UPDATE SKIP LOCKED)
UPDATE users SET country = 'DE' FROM batch WHERE users.id = batch.id;
