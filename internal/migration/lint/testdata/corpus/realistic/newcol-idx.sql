-- corpus: errors index-blocks-writes
ALTER TABLE users ADD COLUMN team_id bigint;
CREATE INDEX users_team ON users (team_id);
