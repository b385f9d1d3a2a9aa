-- corpus: errors concurrently-in-transaction validate-in-same-transaction
--liquibase formatted sql

--changeset shop:1
CREATE INDEX CONCURRENTLY orders_note ON orders (note);

--changeset shop:2
ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;
ALTER TABLE orders VALIDATE CONSTRAINT total_positive;
