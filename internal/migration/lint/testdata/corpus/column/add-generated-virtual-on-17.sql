-- corpus: errors wrong-version
-- corpus: postgres 17
-- +goose Up
ALTER TABLE orders ADD COLUMN gross numeric GENERATED ALWAYS AS (net * 1.19) VIRTUAL;
