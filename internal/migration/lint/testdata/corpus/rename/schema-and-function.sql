-- corpus: errors rename
-- +goose Up
ALTER SCHEMA reporting RENAME TO reports;
ALTER FUNCTION price_of(bigint) RENAME TO price;
