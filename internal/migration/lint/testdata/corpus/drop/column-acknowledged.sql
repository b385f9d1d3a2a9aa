-- +goose Up
-- slipway:allow drop-column reason="the column was never read; checked in the query log"
ALTER TABLE users DROP COLUMN legacy_name;
