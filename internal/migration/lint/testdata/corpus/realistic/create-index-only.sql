CREATE INDEX logs_at_idx ON ONLY logs (at);
