-- +goose Up
ALTER TABLE old_measurements ADD CONSTRAINT bounds CHECK (at >= '2025-01-01' AND at < '2026-01-01' AND at IS NOT NULL) NOT VALID;
