-- slipway:kind contract
-- +goose Up
-- Only versions before 1.1 know the column. This file waits until none of them runs or could be rolled back to.
ALTER TABLE records DROP COLUMN IF EXISTS format;
