-- corpus: errors index-blocks-writes
-- corpus: history
-- +goose Up
CREATE TABLE invoices (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), customer_id uuid NOT NULL);
