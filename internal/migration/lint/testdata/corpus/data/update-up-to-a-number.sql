UPDATE users SET score = 1 WHERE id <= 10000 AND score IS NULL;
