UPDATE products SET price = 10 WHERE sku = 'ABC-1';
UPDATE email_templates SET body = 'Welcome' WHERE template_name = 'welcome';
UPDATE tenants SET plan = 'large' WHERE tenant_id = 42;
UPDATE addresses SET valid = false WHERE address_id = 42;
UPDATE categories SET hidden = true WHERE category_id = 42;
