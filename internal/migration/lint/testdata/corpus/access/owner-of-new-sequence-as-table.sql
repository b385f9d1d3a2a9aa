CREATE SEQUENCE invoice_number;
ALTER TABLE invoice_number OWNER TO app;
