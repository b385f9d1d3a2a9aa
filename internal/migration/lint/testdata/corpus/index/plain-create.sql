-- corpus: errors index-blocks-writes
-- +goose Up
CREATE INDEX orders_customer_idx ON orders (customer_id);
