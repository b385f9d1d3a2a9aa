-- corpus: errors detach-blocks
-- +goose Up
ALTER TABLE measurements DETACH PARTITION measurements_2020;
