-- +goose Up
CREATE PUBLICATION shop FOR TABLE orders, customers;
ALTER TABLE orders REPLICA IDENTITY DEFAULT;
-- slipway:allow-file replica-identity reason="the table has a primary key"
