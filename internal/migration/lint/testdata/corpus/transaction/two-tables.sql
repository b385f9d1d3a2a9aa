-- corpus: warnings many-tables-locked
-- +goose Up
ALTER TABLE users ADD COLUMN a int;
ALTER TABLE orders ADD COLUMN b int;
