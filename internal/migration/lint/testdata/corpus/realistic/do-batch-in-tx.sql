-- corpus: errors concurrently-in-transaction
BEGIN;
DO $$
BEGIN
  FOR i IN 0..100 LOOP
    UPDATE users SET tier = 'free' WHERE id BETWEEN i * 1000 AND i * 1000 + 999;
    COMMIT;
  END LOOP;
END $$;
COMMIT;
