-- +goose Up
CREATE INDEX invoices_customer_idx ON app.invoices (customer_id);
ALTER TABLE app.invoices ALTER COLUMN customer_id SET NOT NULL;
