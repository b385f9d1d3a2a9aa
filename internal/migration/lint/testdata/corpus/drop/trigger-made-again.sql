-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION orders_sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.total_cents := NEW.total * 100;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
DROP TRIGGER IF EXISTS orders_sync ON orders;
CREATE TRIGGER orders_sync BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_sync();
