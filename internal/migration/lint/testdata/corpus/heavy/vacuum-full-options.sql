-- corpus: errors table-rewrite
-- +goose NO TRANSACTION
-- +goose Up
VACUUM (FULL, ANALYZE) orders;
