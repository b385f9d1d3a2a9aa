-- corpus: errors type-change
ALTER TABLE orders ALTER COLUMN payload TYPE jsonb USING payload::jsonb;
