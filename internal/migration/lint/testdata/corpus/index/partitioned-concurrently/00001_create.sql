-- corpus: errors concurrently-on-partitioned
-- corpus: history
-- +goose Up
CREATE TABLE measurements (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
