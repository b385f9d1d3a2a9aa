-- +goose Up
ALTER TABLE users ADD COLUMN country text;
UPDATE settings SET value = 'on' WHERE key = 'countries';
