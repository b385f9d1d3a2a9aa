-- +goose Up
CREATE INDEX measurements_id_idx ON measurements (id);
