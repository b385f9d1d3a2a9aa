-- corpus: errors index-blocks-writes
-- corpus: history
-- +goose Up
CREATE TABLE measurements (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
