-- corpus: history
-- +goose Up
ALTER TABLE users VALIDATE CONSTRAINT c1;
