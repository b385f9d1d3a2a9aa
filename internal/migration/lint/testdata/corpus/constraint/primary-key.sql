-- corpus: errors constraint-builds-index
-- +goose Up
ALTER TABLE ONLY public.audit ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
