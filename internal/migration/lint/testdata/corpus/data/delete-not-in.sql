-- corpus: errors write-whole-table
-- +goose NO TRANSACTION
-- +goose Up
DELETE FROM events WHERE id NOT IN (SELECT event_id FROM kept);
