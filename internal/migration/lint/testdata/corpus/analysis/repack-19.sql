-- corpus: errors table-rewrite
-- +goose NO TRANSACTION
-- +goose Up
REPACK orders;
