-- +goose Up
CREATE TEMP TABLE picked AS SELECT id FROM orders LIMIT 10;
DROP TABLE picked;
