-- corpus: errors write-whole-table
DELETE FROM orders USING customers WHERE customers.id = orders.customer_id AND customers.deleted;
