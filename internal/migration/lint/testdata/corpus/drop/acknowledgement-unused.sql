-- corpus: warnings acknowledgement-unused
-- +goose Up
-- slipway:allow drop-column reason="left over"
ALTER TABLE users ADD COLUMN nickname text;
