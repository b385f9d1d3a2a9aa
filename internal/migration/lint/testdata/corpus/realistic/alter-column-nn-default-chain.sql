-- corpus: errors default-rewrites
ALTER TABLE users
    ADD COLUMN a timestamptz DEFAULT now(),
    ADD COLUMN b uuid DEFAULT uuid_generate_v4();
