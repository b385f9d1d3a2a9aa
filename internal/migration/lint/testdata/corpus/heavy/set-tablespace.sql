-- corpus: errors table-rewrite
-- +goose Up
ALTER TABLE orders SET TABLESPACE fast;
