-- corpus: errors not-null-scans
-- +goose Up
ALTER TABLE crm.users ADD CONSTRAINT c1 CHECK (email IS NOT NULL) NOT VALID;
