-- corpus: warnings inheritance-change
-- +goose Up
ALTER TABLE orders_2026 INHERIT orders;
