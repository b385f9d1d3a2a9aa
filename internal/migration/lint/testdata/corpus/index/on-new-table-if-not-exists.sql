CREATE TABLE IF NOT EXISTS invoices (id bigserial PRIMARY KEY, customer_id bigint NOT NULL);
CREATE INDEX IF NOT EXISTS invoices_customer_idx ON invoices (customer_id);
