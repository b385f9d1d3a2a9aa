-- +goose Up
ALTER TABLE users ADD CONSTRAINT c1 CHECK (email IS NOT NULL AND email <> '') NOT VALID;
