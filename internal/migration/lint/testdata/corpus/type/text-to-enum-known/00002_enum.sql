-- +goose Up
ALTER TABLE users ALTER COLUMN state TYPE user_state USING state::user_state;
