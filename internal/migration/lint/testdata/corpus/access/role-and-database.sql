-- corpus: errors access-change
-- +goose Up
ALTER ROLE app SET search_path = app, public;
ALTER DATABASE shop SET statement_timeout = '5s';
