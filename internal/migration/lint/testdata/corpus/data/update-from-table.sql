-- corpus: errors write-whole-table
-- +goose Up
UPDATE orders SET customer_name = c.name FROM customers c WHERE c.id = orders.customer_id;
