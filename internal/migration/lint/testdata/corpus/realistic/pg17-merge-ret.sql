CREATE TABLE rr (id int primary key);
MERGE INTO rr USING (VALUES (1)) v(id) ON rr.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id) RETURNING merge_action();
