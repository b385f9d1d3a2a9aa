-- corpus: errors wrong-version
-- corpus: postgres 15
-- corpus: history
-- +goose Up
CREATE TABLE parts (id bigint, order_id bigint) PARTITION BY HASH (id);
