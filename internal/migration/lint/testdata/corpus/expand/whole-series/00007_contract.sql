-- +goose Up
-- slipway:kind contract
ALTER TABLE orders DROP COLUMN total;
