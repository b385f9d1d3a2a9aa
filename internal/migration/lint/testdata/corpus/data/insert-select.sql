-- corpus: errors write-whole-table
-- +goose Up
INSERT INTO order_totals (order_id, total) SELECT id, total FROM orders;
