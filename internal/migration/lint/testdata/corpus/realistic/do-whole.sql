-- corpus: errors write-whole-table
DO $$
BEGIN
  UPDATE users SET tier = 'free' WHERE tier IS NULL;
END $$;
