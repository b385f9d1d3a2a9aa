# --- !Ups
ALTER TABLE widgets ADD COLUMN color text;
# --- !Downs
ALTER TABLE widgets DROP COLUMN size;
