-- corpus: errors write-whole-table
UPDATE accounts a SET balance = s.sum FROM (SELECT account_id, sum(x) FROM tx GROUP BY 1) s WHERE s.account_id = a.id;
