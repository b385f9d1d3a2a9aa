-- +goose Up
ALTER TABLE "public"."users" ALTER COLUMN email SET NOT NULL;
