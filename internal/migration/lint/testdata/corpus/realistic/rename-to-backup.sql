-- corpus: errors rename
ALTER TABLE users RENAME TO users_backup;
CREATE TABLE users (id bigint PRIMARY KEY);
