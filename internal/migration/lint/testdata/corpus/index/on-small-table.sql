-- corpus: small currencies
-- +goose Up
CREATE INDEX currencies_code_idx ON currencies (code);
