-- +goose NO TRANSACTION
-- +goose Up
UPDATE events SET kind = 'x' WHERE event_id IN (SELECT event_id FROM events WHERE kind IS NULL FETCH FIRST 5000 ROWS ONLY);
