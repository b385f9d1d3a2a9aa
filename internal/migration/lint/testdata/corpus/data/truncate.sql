-- corpus: errors truncate
-- +goose Up
TRUNCATE TABLE sessions, carts CASCADE;
