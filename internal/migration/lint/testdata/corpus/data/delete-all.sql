-- corpus: errors write-whole-table
-- +goose Up
DELETE FROM sessions;
