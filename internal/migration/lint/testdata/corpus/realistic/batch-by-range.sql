-- batch 1
BEGIN;
UPDATE users SET tier = 'free' WHERE id >= 0 AND id < 10000 AND tier IS NULL;
COMMIT;
-- batch 2
BEGIN;
UPDATE users SET tier = 'free' WHERE id >= 10000 AND id < 20000 AND tier IS NULL;
COMMIT;
