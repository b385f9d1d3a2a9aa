-- corpus: warnings type-change
BEGIN;
ALTER TABLE "shop_item" ALTER COLUMN "name" TYPE varchar(200) USING "name"::varchar(200);
COMMIT;
