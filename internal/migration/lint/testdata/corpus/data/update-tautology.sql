-- corpus: errors write-whole-table
-- +goose NO TRANSACTION
-- +goose Up
UPDATE events SET kind = 'x' WHERE 1 = 1;
