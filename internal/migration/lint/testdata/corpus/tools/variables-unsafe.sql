-- corpus: errors index-blocks-writes
CREATE INDEX users_score ON ${schema}.users (score);
