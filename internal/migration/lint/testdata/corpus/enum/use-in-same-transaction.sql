-- corpus: errors enum-value-in-same-transaction
-- +goose Up
ALTER TYPE mood ADD VALUE 'calm';
ALTER TABLE people ALTER COLUMN mood SET DEFAULT 'calm';
