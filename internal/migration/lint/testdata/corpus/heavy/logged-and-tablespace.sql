-- corpus: errors table-rewrite
-- +goose Up
ALTER TABLE orders SET LOGGED;
