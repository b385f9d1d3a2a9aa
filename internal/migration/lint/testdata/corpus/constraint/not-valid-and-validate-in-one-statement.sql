-- corpus: errors validate-in-same-transaction
-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID, VALIDATE CONSTRAINT c;
