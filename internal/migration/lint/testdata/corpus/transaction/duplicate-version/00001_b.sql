-- +goose Up
ALTER TABLE users ADD COLUMN b int;
