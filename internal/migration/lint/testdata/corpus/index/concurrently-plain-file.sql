-- Speeds up the list of a customer's orders.
CREATE INDEX CONCURRENTLY orders_customer_idx ON orders (customer_id);
