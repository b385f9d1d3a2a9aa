-- +goose NO TRANSACTION
-- +goose Up
VACUUM (FULL false, ANALYZE) orders;
