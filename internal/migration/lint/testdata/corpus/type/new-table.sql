-- +goose Up
CREATE TABLE a (b int);
ALTER TABLE a ALTER COLUMN b TYPE bigint;
