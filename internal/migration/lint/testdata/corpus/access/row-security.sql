-- corpus: errors row-security
-- +goose Up
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
