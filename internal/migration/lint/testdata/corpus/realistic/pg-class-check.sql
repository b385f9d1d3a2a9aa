DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_index WHERE NOT indisvalid) THEN
    RAISE EXCEPTION 'invalid index';
  END IF;
END $$;
