-- corpus: errors write-whole-table
-- +goose NO TRANSACTION
-- +goose Up
DELETE FROM events WHERE true;
