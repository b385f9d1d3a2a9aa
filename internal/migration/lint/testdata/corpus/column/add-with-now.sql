-- +goose Up
ALTER TABLE users ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now(), ADD COLUMN day date DEFAULT CURRENT_DATE;
