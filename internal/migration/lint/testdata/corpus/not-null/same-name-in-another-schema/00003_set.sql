-- +goose Up
ALTER TABLE shop.users ALTER COLUMN email SET NOT NULL;
