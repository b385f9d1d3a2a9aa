-- corpus: errors table-rewrite
-- +goose Up
ALTER INDEX orders_status_idx SET TABLESPACE fast;
