-- Files that people send: a private bucket in Storage, `sonora-files`.
--
-- Sonora writes a file to <user>/<conversation>/<id>.<ending>. A signed-in user may read, list and
-- make links to those in their own folder; only the service key may write or remove any. Messages
-- name them in `messages.images` by "sonora-files/<user>/<conversation>/<id>.<ending>#<name>", never
-- by a link: links end.
--
-- A project without Storage gets none of this, and Sonora keeps files on its own machine. Safe to
-- apply again. A bucket of this name that is there is made private.
select set_config('lock_timeout', '5s', true);

do $$
begin
    if to_regclass('storage.buckets') is null or to_regclass('storage.objects') is null then
        raise notice 'There is no Storage here. Files that people send stay on the bot''s machine.';
        return;
    end if;

    insert into storage.buckets (id, name, public)
    values ('sonora-files', 'sonora-files', false)
    on conflict (id) do update set public = false;

    -- Supabase has row-level security on here already, and the table is not ours to alter. Policies
    -- may be added. Other applications have buckets and policies of their own in the same table: the
    -- restrictive ones hold for this bucket whatever else there is, and say nothing about others.
    -- The first part of a path is the user's folder.
    drop policy if exists sonora_files_own_only on storage.objects;
    create policy sonora_files_own_only on storage.objects
        as restrictive for select to authenticated
        using (
            bucket_id <> 'sonora-files'
            or split_part(name, '/', 1) = (select auth.uid())::text
        );
    drop policy if exists sonora_files_read on storage.objects;
    create policy sonora_files_read on storage.objects
        for select to authenticated
        using (
            bucket_id = 'sonora-files'
            and split_part(name, '/', 1) = (select auth.uid())::text
        );

    drop policy if exists sonora_files_no_insert on storage.objects;
    create policy sonora_files_no_insert on storage.objects
        as restrictive for insert to authenticated, anon
        with check (bucket_id <> 'sonora-files');
    drop policy if exists sonora_files_no_update on storage.objects;
    create policy sonora_files_no_update on storage.objects
        as restrictive for update to authenticated, anon
        using (bucket_id <> 'sonora-files')
        with check (bucket_id <> 'sonora-files');
    drop policy if exists sonora_files_no_delete on storage.objects;
    create policy sonora_files_no_delete on storage.objects
        as restrictive for delete to authenticated, anon
        using (bucket_id <> 'sonora-files');
    drop policy if exists sonora_files_no_anon on storage.objects;
    create policy sonora_files_no_anon on storage.objects
        as restrictive for select to anon
        using (bucket_id <> 'sonora-files');
end
$$;
