-- +goose Up
CREATE TABLE order_totals (order_id bigint PRIMARY KEY, total numeric);
INSERT INTO order_totals SELECT id, total FROM orders;
