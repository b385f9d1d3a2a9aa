-- +goose Up
ALTER INDEX orders_lower_idx ALTER COLUMN 1 SET STATISTICS 500;
CREATE STATISTICS orders_dependencies (dependencies) ON country, currency FROM orders;
