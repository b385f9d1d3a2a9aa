-- +goose NO TRANSACTION
-- +goose Up
UPDATE events SET kind = 'x' WHERE ctid = ANY (ARRAY(SELECT ctid FROM events WHERE kind IS NULL LIMIT 5000));
