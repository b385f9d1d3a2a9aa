CREATE TABLE child () INHERITS (parent);
