-- corpus: errors foreign-key-scans
ALTER TABLE "orders" ADD CONSTRAINT "fk_rails_3dad120da9" FOREIGN KEY ("customer_id") REFERENCES "customers" ("id") ON DELETE CASCADE;
