-- slipway:kind contract
-- +goose Up
ALTER TABLE records DROP COLUMN IF EXISTS format;
