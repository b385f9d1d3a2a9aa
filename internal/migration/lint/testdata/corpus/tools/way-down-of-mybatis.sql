-- // Add a color
ALTER TABLE widgets ADD COLUMN color text;

-- //@UNDO
ALTER TABLE widgets DROP COLUMN size;
