UPDATE orders SET oldest = true WHERE id = (SELECT id FROM orders ORDER BY at LIMIT 1);
