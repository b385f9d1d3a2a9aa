-- corpus: errors write-whole-table
-- +goose Up
UPDATE users SET active = true;
