-- corpus: errors drop-constraint
-- +goose Up
ALTER TABLE orders DROP CONSTRAINT orders_pkey;
