-- +goose Up
ALTER TABLE users ALTER COLUMN bio SET STORAGE EXTERNAL, ALTER COLUMN bio SET COMPRESSION lz4;
ALTER TABLE users SET (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 90);
