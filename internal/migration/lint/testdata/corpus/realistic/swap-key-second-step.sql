CREATE UNIQUE INDEX CONCURRENTLY events_id_new_idx ON events (id_new);
