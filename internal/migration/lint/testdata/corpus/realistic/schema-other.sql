-- corpus: errors index-blocks-writes
CREATE TABLE billing.invoices (id bigint PRIMARY KEY);
CREATE INDEX x ON archive.invoices (id);
