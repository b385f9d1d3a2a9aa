-- corpus: errors enum-value-in-same-transaction
ALTER TYPE mood ADD VALUE 'calm';
INSERT INTO moods (name) VALUES ('calm');
