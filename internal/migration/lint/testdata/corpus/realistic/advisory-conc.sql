SET lock_timeout TO '10s';
DROP INDEX CONCURRENTLY IF EXISTS users_email_idx;
CREATE UNIQUE INDEX CONCURRENTLY users_email_idx ON users (email);
