ALTER TABLE users
    ADD COLUMN email_lower text,
    ADD COLUMN verified boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT users_verified_ck CHECK (verified IN (true, false)) NOT VALID;
