-- +goose Up
CREATE TABLE plans (id int PRIMARY KEY, name text);
INSERT INTO plans VALUES (1, 'free'), (2, 'paid');
UPDATE plans SET name = upper(name);
