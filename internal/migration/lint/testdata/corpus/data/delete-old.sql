-- corpus: errors write-whole-table
-- +goose Up
DELETE FROM sessions WHERE created_at < now() - interval '30 days';
