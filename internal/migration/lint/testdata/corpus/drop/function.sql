-- corpus: errors drop-object
-- +goose Up
DROP FUNCTION IF EXISTS price_of(bigint);
