-- corpus: errors drop-column acknowledgement
-- +goose Up
-- slipway:allow drop-column
ALTER TABLE users DROP COLUMN legacy_name;
