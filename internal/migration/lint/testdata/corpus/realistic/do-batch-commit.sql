DO $$
DECLARE
  last_id bigint := 0;
  max_id bigint;
BEGIN
  SELECT max(id) INTO max_id FROM users;
  WHILE last_id < max_id LOOP
    UPDATE users SET tier = 'free' WHERE id > last_id AND id <= last_id + 1000 AND tier IS NULL;
    last_id := last_id + 1000;
    COMMIT;
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
