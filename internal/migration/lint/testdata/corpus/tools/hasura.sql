alter table "public"."users" add column "nickname" text null;
comment on column "public"."users"."nickname" is E'shown in lists';
