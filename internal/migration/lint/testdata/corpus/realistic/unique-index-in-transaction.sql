-- corpus: errors index-blocks-writes
BEGIN;
CREATE UNIQUE INDEX users_email_idx ON users (email);
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_idx;
COMMIT;
