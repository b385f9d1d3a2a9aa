-- corpus: errors trigger-disabled sequence-change replica-identity
-- +goose Up
ALTER TABLE orders DISABLE TRIGGER ALL;
ALTER TABLE orders REPLICA IDENTITY NOTHING;
ALTER SEQUENCE orders_id_seq RESTART WITH 1;
