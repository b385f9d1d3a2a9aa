CREATE TABLE report AS SELECT * FROM orders;
CREATE INDEX ON report (id);
