-- What a Supabase project has before anything of ours, as far as migrations and policies can tell.
-- Run by the superuser, in the database that the others are copies of.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
-- PostgREST connects as this one and becomes one of those three.
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
-- Migrations run as this one, which is no superuser.
create role postgres login createdb createrole bypassrls;
grant anon, authenticated, service_role to postgres;

grant all on schema public to postgres;
grant usage on schema public to anon, authenticated, service_role;
-- Everybody may do everything with what `postgres` makes, unless it says otherwise.
alter default privileges for role postgres in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to anon, authenticated, service_role;

create schema auth;
grant usage on schema auth to postgres, anon, authenticated, service_role;
create table auth.users (id uuid primary key);
grant all on auth.users to postgres;

create function auth.uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;
