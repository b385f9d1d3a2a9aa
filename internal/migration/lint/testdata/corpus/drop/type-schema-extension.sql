-- corpus: errors drop-object
-- +goose Up
DROP TYPE mood;
DROP SCHEMA reporting CASCADE;
DROP EXTENSION hstore;
DROP SEQUENCE numbers;
