-- corpus: warnings not-analyzed
-- +goose Up
-- +goose StatementBegin
DO LANGUAGE plpython3u $$ plpy.execute("DROP TABLE users") $$;
-- +goose StatementEnd
