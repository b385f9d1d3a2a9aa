-- corpus: errors constraint-builds-index serial-rewrites
ALTER TABLE t ADD COLUMN id bigserial PRIMARY KEY;
