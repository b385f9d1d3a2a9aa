-- +goose Up
ALTER TABLE people ALTER COLUMN mood SET DEFAULT 'calm';
