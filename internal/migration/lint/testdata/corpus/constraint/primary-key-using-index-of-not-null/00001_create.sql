-- corpus: history
-- +goose Up
CREATE TABLE audit (id bigint NOT NULL, at timestamptz);
