-- corpus: errors write-whole-table
UPDATE users SET score = 1 WHERE id < 90000000;
UPDATE orders SET paid = true WHERE id BETWEEN 1 AND 90000000;
