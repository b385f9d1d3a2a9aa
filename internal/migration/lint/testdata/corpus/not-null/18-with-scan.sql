-- corpus: errors not-null-scans
-- corpus: postgres 18
-- +goose Up
ALTER TABLE users ADD CONSTRAINT users_email_nn NOT NULL email;
