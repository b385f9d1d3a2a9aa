-- +goose Up
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm' AFTER 'happy';
