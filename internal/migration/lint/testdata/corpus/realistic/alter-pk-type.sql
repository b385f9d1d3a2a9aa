-- corpus: errors type-change
ALTER TABLE users ALTER COLUMN id SET DATA TYPE bigint, ALTER COLUMN id SET DEFAULT 1;
