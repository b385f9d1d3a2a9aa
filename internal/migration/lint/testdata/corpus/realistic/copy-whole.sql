-- corpus: errors write-whole-table
INSERT INTO orders_v2 SELECT * FROM orders;
