-- corpus: errors drop-database
-- +goose NO TRANSACTION
-- +goose Up
DROP DATABASE old_shop;
