ALTER TABLE "users" ADD "locale" character varying(5) DEFAULT 'en' NOT NULL;
CREATE  INDEX CONCURRENTLY "index_users_on_locale" ON "users" USING btree ("locale");
INSERT INTO "schema_migrations" (version) VALUES ('20260102030405');
