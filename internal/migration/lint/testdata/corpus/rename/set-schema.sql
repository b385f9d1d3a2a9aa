-- corpus: errors move-schema
-- +goose Up
ALTER TABLE users SET SCHEMA archive;
