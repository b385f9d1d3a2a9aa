-- corpus: small currencies
-- +goose Up
UPDATE currencies SET active = true;
