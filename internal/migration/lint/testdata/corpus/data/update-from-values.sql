-- +goose Up
UPDATE products AS p SET price = v.price FROM (VALUES (1, 10), (2, 20)) AS v (id, price) WHERE p.id = v.id;
