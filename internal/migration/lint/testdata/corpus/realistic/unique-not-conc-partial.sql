-- corpus: errors index-blocks-writes
CREATE UNIQUE INDEX IF NOT EXISTS one_active ON subscriptions (user_id) WHERE status = 'active';
