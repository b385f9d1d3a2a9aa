--liquibase formatted sql

--changeset shop:1 runInTransaction:false
CREATE INDEX CONCURRENTLY orders_note ON orders (note);
--rollback DROP INDEX orders_note;

--changeset shop:2
ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;

--changeset shop:3
ALTER TABLE orders VALIDATE CONSTRAINT total_positive;

--changeset shop:4 splitStatements:false endDelimiter:/
CREATE OR REPLACE FUNCTION one() RETURNS int AS $$ BEGIN RETURN 1; END; $$ LANGUAGE plpgsql;
/
