--liquibase formatted sql
--changeset anna:12 runInTransaction:false
CREATE INDEX CONCURRENTLY orders_shop ON orders (shop_id);
--rollback DROP INDEX orders_shop;
