-- corpus: errors drop-table
-- +goose Up
DROP TABLE IF EXISTS legacy_orders;
