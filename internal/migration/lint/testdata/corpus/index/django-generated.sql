-- corpus: errors index-blocks-writes
BEGIN;
--
-- Create index shop_order_created on field(s) created of model order
--
CREATE INDEX "shop_order_created" ON "shop_order" ("created");
COMMIT;
