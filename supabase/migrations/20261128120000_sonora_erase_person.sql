-- Erasing a person, and what a fact says of where it came from once its conversation is gone.
-- Safe to apply again.
select set_config('lock_timeout', '5s', true);

-- A fact outlasts the conversation that it was said in. It then names neither the conversation nor
-- the message, however the conversation was deleted.

create index if not exists memories_of_conversation
    on public.memories (conversation_id) where conversation_id is not null;

create or replace function public.sonora_conversations_deleted()
    returns trigger
    language plpgsql security definer
    set search_path = ''
    as $$
begin
    update public.memories m
    set conversation_id = null, source_message_id = null
    from deleted d
    where m.conversation_id = d.id;
    return null;
end
$$;
comment on function public.sonora_conversations_deleted() is
    'Keeps facts from naming a conversation that is gone.';
revoke all on function public.sonora_conversations_deleted() from public, anon, authenticated;

create or replace trigger sonora_conversations_deleted
    after delete on public.conversations
    referencing old table as deleted
    for each statement execute function public.sonora_conversations_deleted();

-- Erases a person, all or nothing: their conversations with all that belongs to them, the facts
-- about them, their choices, and their rows in the older user_memory. Gives one row:
--
--   counts         of each table, how many rows went; with `only_count`, how many would
--   conversations  the ids of their conversations
--   calls          those of their calls that have no end: id and started_at
--
-- `user_id` is compared as text, whatever the types of the older tables' columns.
create or replace function public.sonora_erase_person(user_id text, only_count boolean default false)
    returns jsonb
    language plpgsql
    set search_path = ''
    as $$
declare
    theirs uuid[];
    calls jsonb;
    counts jsonb := '{}';
    part record;
    rows_there bigint;
begin
    if coalesce(sonora_erase_person.user_id, '') = '' then
        raise invalid_parameter_value using message = 'Whom to erase is not said.';
    end if;
    -- Locked, so that no message comes to one of them meanwhile.
    select coalesce(array_agg(c.id), '{}') into theirs
    from (
        select c.id from public.conversations c
        where c.user_id::text = sonora_erase_person.user_id
        order by c.id
        for update
    ) as c;
    select coalesce(
        jsonb_agg(jsonb_build_object('id', s.id, 'started_at', s.started_at) order by s.id), '[]'
    )
    into calls
    from public.sessions s
    where s.conversation_id = any (theirs) and s.ended_at is null;
    -- Messages before the conversations: where the older table has no foreign key, they would stay
    -- behind. The rest belongs to a conversation, or names the person.
    for part in
        select * from (values
            ('messages', 'conversation_id = any ($1)', 'conversation_id'),
            ('transitions', 'conversation_id = any ($1)', 'conversation_id'),
            ('sessions', 'conversation_id = any ($1)', 'conversation_id'),
            ('positions', 'conversation_id = any ($1)', 'conversation_id'),
            ('conversations', 'id = any ($1)', 'id'),
            ('memories', 'user_id = $2', 'user_id'),
            ('memory_choices', 'user_id = $2', 'user_id'),
            ('user_memory', '(user_id)::text = $2', 'user_id')
        ) as p (of_table, condition, of_column)
    loop
        -- A project may lack the older table, or have another one of that name.
        continue when not exists (
            select from pg_catalog.pg_attribute a
            where a.attrelid = to_regclass('public.' || part.of_table)
                and a.attname = part.of_column and not a.attisdropped
        );
        if only_count then
            execute format('select count(*) from public.%I where %s', part.of_table, part.condition)
                into rows_there using theirs, sonora_erase_person.user_id;
        else
            execute format('delete from public.%I where %s', part.of_table, part.condition)
                using theirs, sonora_erase_person.user_id;
            get diagnostics rows_there = row_count;
        end if;
        counts := counts || jsonb_build_object(part.of_table, rows_there);
    end loop;
    return jsonb_build_array(
        jsonb_build_object(
            'counts', counts, 'conversations', to_jsonb(theirs), 'calls', calls
        )
    );
end
$$;
comment on function public.sonora_erase_person(text, boolean) is
    'Erases a person, and says how many rows went. Only for the service key.';
revoke all on function public.sonora_erase_person(text, boolean) from public, anon, authenticated;
grant execute on function public.sonora_erase_person(text, boolean) to service_role;

notify pgrst, 'reload schema';
