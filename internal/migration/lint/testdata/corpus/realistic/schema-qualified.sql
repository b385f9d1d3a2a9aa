CREATE SCHEMA IF NOT EXISTS billing;
CREATE TABLE billing.invoices (id bigint PRIMARY KEY);
SET search_path = billing;
CREATE INDEX invoices_id ON invoices (id);
