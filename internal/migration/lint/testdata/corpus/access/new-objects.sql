-- +goose Up
CREATE SCHEMA billing;
CREATE TABLE billing.invoices (id bigint PRIMARY KEY);
ALTER TABLE billing.invoices OWNER TO billing;
REVOKE ALL ON billing.invoices FROM PUBLIC;
GRANT SELECT, INSERT ON billing.invoices TO app;
