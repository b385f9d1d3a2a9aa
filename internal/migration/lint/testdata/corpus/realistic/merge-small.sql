MERGE INTO roles r USING (VALUES ('a', 1), ('b', 2)) v(name, n) ON r.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name);
