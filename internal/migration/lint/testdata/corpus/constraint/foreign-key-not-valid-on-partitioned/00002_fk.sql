-- +goose Up
ALTER TABLE parts ADD CONSTRAINT parts_order_fk FOREIGN KEY (order_id) REFERENCES orders (id) NOT VALID;
