-- corpus: warnings drop-constraint
-- +goose Up
ALTER TABLE users DROP CONSTRAINT users_email_key;
