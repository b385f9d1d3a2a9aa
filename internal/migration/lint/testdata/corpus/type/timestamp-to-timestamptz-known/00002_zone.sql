-- +goose Up
ALTER TABLE users ALTER COLUMN at TYPE timestamptz;
