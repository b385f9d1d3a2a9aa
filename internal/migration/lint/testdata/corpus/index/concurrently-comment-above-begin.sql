-- corpus: errors concurrently-in-transaction
-- Ticket 1182: the list is slow.
/* Built
   concurrently. */
BEGIN;
CREATE INDEX CONCURRENTLY orders_customer_idx ON orders (customer_id);
COMMIT;
