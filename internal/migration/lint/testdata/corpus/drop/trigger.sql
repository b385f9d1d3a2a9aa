-- corpus: errors drop-object
-- +goose Up
DROP TRIGGER audit ON orders;
