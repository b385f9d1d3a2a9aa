-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS orders_total_cents;
CREATE INDEX CONCURRENTLY orders_total_cents ON orders (total_cents);
