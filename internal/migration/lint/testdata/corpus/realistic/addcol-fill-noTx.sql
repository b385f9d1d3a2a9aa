-- corpus: errors write-whole-table
ALTER TABLE users ADD COLUMN tier text;
UPDATE users SET tier = 'free' WHERE tier IS NULL;
