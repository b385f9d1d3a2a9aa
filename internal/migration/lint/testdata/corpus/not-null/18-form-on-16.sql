-- corpus: errors wrong-version
-- corpus: postgres 16
-- +goose Up
ALTER TABLE users ADD CONSTRAINT users_email_nn NOT NULL email NOT VALID;
