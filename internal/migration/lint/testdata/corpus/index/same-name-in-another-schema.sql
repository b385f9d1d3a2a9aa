-- corpus: errors index-blocks-writes
-- +goose Up
CREATE TABLE crm.users (id int);
CREATE INDEX users_email ON shop.users (email);
