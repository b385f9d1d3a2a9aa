-- +goose Up
LOCK TABLE orders IN ROW SHARE MODE;
