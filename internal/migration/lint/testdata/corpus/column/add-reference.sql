-- corpus: warnings foreign-key-scans
-- +goose Up
ALTER TABLE orders ADD COLUMN shop_id bigint REFERENCES shops (id);
