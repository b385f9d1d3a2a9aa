-- corpus: errors write-whole-table
UPDATE orders SET last_event = (SELECT at FROM events WHERE order_id = orders.id ORDER BY at DESC LIMIT 1);
UPDATE carts SET old = true WHERE at < (SELECT at FROM events ORDER BY at LIMIT 1);
