-- +goose Up
ALTER TABLE users ALTER email SET NOT NULL;
