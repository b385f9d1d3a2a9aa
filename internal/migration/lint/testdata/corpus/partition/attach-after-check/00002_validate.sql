-- +goose Up
ALTER TABLE old_measurements VALIDATE CONSTRAINT bounds;
