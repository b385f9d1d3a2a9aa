-- corpus: errors table-rewrite
-- +goose Up
CLUSTER orders USING orders_pkey;
