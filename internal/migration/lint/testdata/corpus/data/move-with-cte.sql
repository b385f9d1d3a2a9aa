-- corpus: errors write-whole-table
-- +goose Up
WITH gone AS (DELETE FROM orders WHERE placed < '2020-01-01' RETURNING *)
INSERT INTO orders_archive SELECT * FROM gone;
