-- corpus: errors column-required
BEGIN;
ALTER TABLE "accounts_user" ADD COLUMN "level" integer DEFAULT 0 NOT NULL;
ALTER TABLE "accounts_user" ALTER COLUMN "level" DROP DEFAULT;
COMMIT;
