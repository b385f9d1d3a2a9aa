-- corpus: errors default-rewrites
ALTER TABLE users ADD COLUMN b double precision DEFAULT random();
