-- corpus: errors write-whole-table
DELETE FROM users a USING users b WHERE a.id > b.id AND a.email = b.email;
