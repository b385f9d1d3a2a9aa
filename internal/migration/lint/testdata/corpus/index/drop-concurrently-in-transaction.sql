-- corpus: errors concurrently-in-transaction
-- +goose Up
DROP INDEX CONCURRENTLY orders_status_idx;
