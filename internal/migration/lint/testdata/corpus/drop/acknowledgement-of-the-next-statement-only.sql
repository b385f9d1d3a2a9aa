-- corpus: errors drop-column
-- +goose Up
-- slipway:allow drop-column reason="never read"
ALTER TABLE users DROP COLUMN a;

ALTER TABLE users DROP COLUMN b;
