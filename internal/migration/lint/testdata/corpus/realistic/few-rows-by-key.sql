UPDATE users SET plan = 'pro' WHERE id = ANY ('{1,2,3}'::bigint[]);
UPDATE users SET plan = 'pro' WHERE uuid = '1b0e6f9e-0000-0000-0000-000000000000';
DELETE FROM roles WHERE name IN ('a', 'b');
