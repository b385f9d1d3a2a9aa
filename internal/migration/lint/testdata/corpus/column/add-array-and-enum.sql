-- +goose Up
CREATE TYPE plan AS ENUM ('free', 'paid');
ALTER TABLE users ADD COLUMN plan plan NOT NULL DEFAULT 'free', ADD COLUMN tags text[] NOT NULL DEFAULT ARRAY[]::text[];
