-- corpus: warnings concurrently-if-not-exists
-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY ON orders (customer_id);
