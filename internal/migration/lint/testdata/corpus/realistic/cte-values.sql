WITH v(id, name) AS (VALUES (1, 'a'), (2, 'b')) UPDATE users u SET name = v.name FROM v WHERE u.id = v.id;
