-- corpus: postgres 18
-- +goose Up
ALTER TABLE orders ADD CONSTRAINT total_small CHECK (total < 1000000) NOT ENFORCED;
