-- PostgreSQL database dump
\restrict abcdef
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.a (id integer NOT NULL, b text);
CREATE SEQUENCE public.a_id_seq AS integer START WITH 1;
ALTER SEQUENCE public.a_id_seq OWNED BY public.a.id;
ALTER TABLE ONLY public.a ALTER COLUMN id SET DEFAULT nextval('public.a_id_seq'::regclass);
COPY public.a (id, b) FROM stdin;
1	it's; a text
\.
ALTER TABLE ONLY public.a ADD CONSTRAINT a_pkey PRIMARY KEY (id);
CREATE INDEX a_b ON public.a USING btree (b);
\unrestrict abcdef
