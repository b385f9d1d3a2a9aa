-- corpus: errors column-required
ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT NULL;
