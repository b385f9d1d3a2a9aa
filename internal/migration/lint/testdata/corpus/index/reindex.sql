-- corpus: errors reindex-blocks
-- +goose NO TRANSACTION
-- +goose Up
REINDEX INDEX orders_status_idx;
