-- +goose Up
CREATE TABLE app.invoices (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), customer_id uuid NOT NULL);
