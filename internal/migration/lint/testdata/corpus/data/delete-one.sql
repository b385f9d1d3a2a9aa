-- +goose Up
DELETE FROM feature_flags WHERE name = 'old_checkout';
