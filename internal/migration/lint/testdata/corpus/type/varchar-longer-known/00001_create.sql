-- corpus: history
-- +goose Up
CREATE TABLE users (id bigint PRIMARY KEY, name varchar(50), price numeric(10, 2), at timestamp(3));
