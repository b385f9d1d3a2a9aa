-- +goose Up
ALTER TABLE events ADD COLUMN id_new bigint;
-- +goose StatementBegin
CREATE FUNCTION events_copy_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id_new := NEW.id; RETURN NEW; END $$;
-- +goose StatementEnd
CREATE TRIGGER events_copy_id BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION events_copy_id();
ALTER TABLE events ADD CONSTRAINT events_id_new_not_null CHECK (id_new IS NOT NULL) NOT VALID;
