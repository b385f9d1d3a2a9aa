-- +goose Up
CREATE INDEX measurements_id_idx ON ONLY measurements (id);
