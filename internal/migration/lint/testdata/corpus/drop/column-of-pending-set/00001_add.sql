-- +goose Up
ALTER TABLE users ADD COLUMN mistake text;
