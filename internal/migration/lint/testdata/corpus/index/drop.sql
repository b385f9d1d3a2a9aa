-- corpus: errors index-drop-blocks
-- +goose Up
DROP INDEX IF EXISTS orders_status_idx;
