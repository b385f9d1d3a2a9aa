-- corpus: warnings many-tables-locked
-- +goose Up
CREATE TABLE order_notes (
    id bigserial PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    note text NOT NULL
);
ALTER TABLE order_notes ADD CONSTRAINT order_notes_author_fk FOREIGN KEY (id) REFERENCES users (id);
