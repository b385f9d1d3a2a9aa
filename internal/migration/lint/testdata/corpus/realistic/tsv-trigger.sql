ALTER TABLE docs ADD COLUMN tsv tsvector;
CREATE TRIGGER tsv_update BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(tsv, 'pg_catalog.english', body);
