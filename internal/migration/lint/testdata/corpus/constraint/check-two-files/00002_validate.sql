-- +goose Up
ALTER TABLE orders VALIDATE CONSTRAINT total_positive;
