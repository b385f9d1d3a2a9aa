-- corpus: errors generated-rewrites
ALTER TABLE docs ADD COLUMN tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED;
CREATE INDEX CONCURRENTLY docs_tsv ON docs USING gin (tsv);
