DO $$ BEGIN ASSERT (SELECT count(*) FROM users WHERE email IS NULL) = 0, 'nulls'; END $$;
