-- corpus: errors drop-object
-- +goose Up
DROP VIEW active_users;
