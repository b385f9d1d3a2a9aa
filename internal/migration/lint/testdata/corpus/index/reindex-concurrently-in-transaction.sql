-- corpus: errors concurrently-in-transaction
-- +goose Up
REINDEX INDEX CONCURRENTLY orders_status_idx;
