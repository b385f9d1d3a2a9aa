-- corpus: errors write-whole-table
-- +goose Up
UPDATE orders SET state = 'closed' WHERE state = 'done';
