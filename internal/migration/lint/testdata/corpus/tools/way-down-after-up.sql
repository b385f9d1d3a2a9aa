-- +up
-- The site must not go down.
ALTER TABLE widgets ADD COLUMN color text;
-- +down
ALTER TABLE widgets DROP COLUMN size;
