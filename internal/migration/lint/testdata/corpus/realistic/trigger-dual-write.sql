BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE users ADD COLUMN email_lower text;
CREATE OR REPLACE FUNCTION users_email_lower() RETURNS trigger LANGUAGE plpgsql AS $fn$
BEGIN
    NEW.email_lower := lower(NEW.email);
    RETURN NEW;
END
$fn$;
CREATE TRIGGER users_email_lower BEFORE INSERT OR UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION users_email_lower();
COMMIT;
