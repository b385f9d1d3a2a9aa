-- corpus: history
-- +goose Up
CREATE TABLE users (id bigint PRIMARY KEY, name text);
