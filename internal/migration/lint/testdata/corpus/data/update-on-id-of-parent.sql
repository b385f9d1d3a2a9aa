-- corpus: errors write-whole-table
-- +goose NO TRANSACTION
-- +goose Up
UPDATE events SET kind = 'x' WHERE tenant_id = 7;
