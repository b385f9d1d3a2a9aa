-- corpus: errors drop-table
-- corpus: history
-- +goose Up
CREATE TABLE a (b int);
