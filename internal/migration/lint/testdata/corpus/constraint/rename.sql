-- +goose Up
ALTER TABLE orders RENAME CONSTRAINT fk_1 TO orders_customer_fk;
