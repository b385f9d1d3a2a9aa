-- corpus: errors drop-column
-- +goose Up
-- slipway:allow drop-column reason="only until the release of May" until=2020-05-31
ALTER TABLE users DROP COLUMN legacy_name;
