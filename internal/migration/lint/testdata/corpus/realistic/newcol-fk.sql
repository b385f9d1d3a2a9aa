-- corpus: errors foreign-key-scans
ALTER TABLE users ADD COLUMN team_id bigint;
ALTER TABLE users ADD CONSTRAINT t FOREIGN KEY (team_id) REFERENCES teams (id);
