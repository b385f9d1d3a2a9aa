-- +goose Up
ALTER TABLE measurements ATTACH PARTITION old_measurements FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
