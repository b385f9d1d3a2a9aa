-- corpus: errors not-analysed
-- +goose Up
ALTER TABLE users ADD COLUM a int;
