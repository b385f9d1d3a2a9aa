ALTER TABLE events ADD COLUMN id_new bigint;
