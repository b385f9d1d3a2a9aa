-- corpus: errors explicit-lock
-- +goose Up
LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;
