-- +goose Up
ALTER TABLE measurements DETACH PARTITION measurements_2020 FINALIZE;
