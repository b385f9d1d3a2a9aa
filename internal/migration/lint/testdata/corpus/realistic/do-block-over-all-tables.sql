-- corpus: errors column-required
DO $$
DECLARE t text;
BEGIN
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I ADD COLUMN tenant_id bigint NOT NULL', t);
  END LOOP;
END $$;
