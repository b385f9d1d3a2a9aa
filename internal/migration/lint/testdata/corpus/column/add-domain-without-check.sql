-- +goose Up
CREATE DOMAIN label AS text;
ALTER TABLE users ADD COLUMN label label;
