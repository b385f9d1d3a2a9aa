-- corpus: errors constraint-builds-index
-- +goose Up
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);
