-- +goose Up
ALTER INDEX measurements_id_idx ATTACH PARTITION measurements_2026_id_idx;
