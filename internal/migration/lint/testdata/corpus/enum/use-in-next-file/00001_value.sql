-- +goose Up
ALTER TYPE mood ADD VALUE 'calm';
