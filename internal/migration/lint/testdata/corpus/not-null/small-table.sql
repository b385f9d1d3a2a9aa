-- corpus: small currencies
-- +goose Up
ALTER TABLE currencies ALTER COLUMN name SET NOT NULL;
