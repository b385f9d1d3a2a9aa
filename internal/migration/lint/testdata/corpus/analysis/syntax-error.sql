-- corpus: errors not-analyzed
-- +goose Up
ALTER TABLE users ADD COLUM a int;
