-- What is remembered of people: `memories`, and whether they want it: `memory_choices`.
--
-- A memory is one sentence about one person. It is its owner's: they read, correct and delete it.
-- It outlasts the conversation that it came from, and is found by the person, so it refers to
-- neither by a foreign key.
--
-- Projects of older bots may have `user_memory(user_id, key, value)`, whose rows are read as
-- memories and can be deleted, and `shared_memory(key, value)`, which is read only where the bot's
-- settings say so. Nothing here writes to either. Safe to apply again.
select set_config('lock_timeout', '5s', true);

do $$
declare
    misfit text;
begin
    select format('public.%s.%s', needed.of_table, needed.of_column)
    into misfit
    from (values
        ('memories', 'user_id'), ('memories', 'content'), ('memories', 'replaced_by'),
        ('memory_choices', 'user_id'), ('memory_choices', 'remembers')
    ) as needed (of_table, of_column)
    join pg_catalog.pg_class t
        on t.relname = needed.of_table and t.relnamespace = 'public'::regnamespace
    left join pg_catalog.pg_attribute a
        on a.attrelid = t.oid and a.attname = needed.of_column and not a.attisdropped
    where a.attname is null
    limit 1;
    if misfit is not null then
        raise exception 'A table here is not the one that Sonora means: % is missing.', misfit
            using hint = 'Nothing was changed. Rename that table, or use another project.';
    end if;
end
$$;

create table if not exists public.memories (
    id uuid primary key default gen_random_uuid(),
    user_id text not null,
    content text not null,
    source_message_id uuid,
    conversation_id uuid,
    created_at timestamptz not null default now(),
    valid_until timestamptz,
    replaced_by uuid,
    forgotten_at timestamptz,
    metadata jsonb not null default '{}'
);
create table if not exists public.memory_choices (
    id uuid primary key default gen_random_uuid(),
    user_id text not null,
    remembers boolean not null,
    created_at timestamptz not null default now()
);

create index if not exists memories_of_user
    on public.memories (user_id, created_at desc, id desc)
    where forgotten_at is null and replaced_by is null;
create index if not exists memories_by_user on public.memories (user_id, created_at desc, id desc);
create index if not exists memory_choices_of_user
    on public.memory_choices (user_id, created_at desc, id desc);

comment on table public.memories is
    'What is remembered of a person: one sentence each. Written by Sonora; its owner may correct and delete it.';
comment on column public.memories.id is 'UUIDv7, made by Sonora.';
comment on column public.memories.user_id is 'Whom it is about, and whose it is.';
comment on column public.memories.content is
    'The sentence, in the language it was said in. Empty once it is forgotten. Its owner may change it.';
comment on column public.memories.source_message_id is
    'The message it was said in; null: not said in a call. The message may be gone.';
comment on column public.memories.conversation_id is 'The conversation of that message.';
comment on column public.memories.created_at is 'When it was said.';
comment on column public.memories.valid_until is 'Until when it holds; null: no end is known. Its owner may change it.';
comment on column public.memories.replaced_by is 'What holds in its place; null: nothing. Then it is kept as what held before.';
comment on column public.memories.forgotten_at is 'When it was forgotten, and its content taken away; null: it was not.';
comment on column public.memories.metadata is 'language, and from where: call, review, command, page.';
comment on table public.memory_choices is
    'Whether a person wants to be remembered. The latest row of a person counts.';
comment on column public.memory_choices.id is 'UUIDv7, made by Sonora; or at random.';
comment on column public.memory_choices.user_id is 'Whose choice it is.';
comment on column public.memory_choices.remembers is 'Whether they want to be remembered.';
comment on column public.memory_choices.created_at is 'When they said so.';

-- Who may do what. See the first migration.

alter table public.memories enable row level security;
alter table public.memory_choices enable row level security;
revoke all on table public.memories, public.memory_choices from public, anon, authenticated;
grant all on table public.memories, public.memory_choices to service_role;
grant select, delete on table public.memories, public.memory_choices to authenticated;
grant update (content, valid_until) on table public.memories to authenticated;
grant insert (user_id, remembers) on table public.memory_choices to authenticated;

drop policy if exists sonora_own_only on public.memories;
create policy sonora_own_only on public.memories
    as restrictive for all to authenticated
    using (user_id = (select public.sonora_user_id())::text);
drop policy if exists sonora_own on public.memories;
create policy sonora_own on public.memories
    for all to authenticated
    using (user_id = (select public.sonora_user_id())::text);
drop policy if exists sonora_own_only on public.memory_choices;
create policy sonora_own_only on public.memory_choices
    as restrictive for all to authenticated
    using (user_id = (select public.sonora_user_id())::text);
drop policy if exists sonora_own on public.memory_choices;
create policy sonora_own on public.memory_choices
    for all to authenticated
    using (user_id = (select public.sonora_user_id())::text);

-- The rows of the older tables, whatever the types of their columns are; none where there is no
-- such table, or where it is another one.

create or replace function public.sonora_older_memories(user_id text, patterns text[], row_limit integer)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    found_rows jsonb := '[]';
begin
    if to_regclass('public.user_memory') is not null then
        execute $query$
            select coalesce(jsonb_agg(to_jsonb(o)), '[]') from (
                select
                    md5('user_memory ' || (m.user_id)::text || ' ' || (m.key)::text)::uuid as id,
                    (m.user_id)::text as user_id,
                    (m.key)::text || ': ' || coalesce(to_jsonb(m.value) #>> '{}', '') as content,
                    'epoch'::timestamptz as created_at,
                    '{"source": "user_memory"}'::jsonb as metadata
                from public.user_memory m
                where (m.user_id)::text = $1 and (cardinality($2) = 0 or
                    (m.key)::text || ': ' || coalesce(to_jsonb(m.value) #>> '{}', '') ilike any ($2))
                order by (m.key)::text
                limit $3
            ) as o
        $query$ into found_rows using user_id, patterns, row_limit;
    end if;
    return found_rows;
exception when undefined_column then
    return '[]';
end
$$;

comment on function public.sonora_older_memories(text, text[], integer) is
    'A part of sonora_known: the rows of the older user_memory.';

create or replace function public.sonora_end_older_memory(user_id text, id uuid)
    returns void
    language plpgsql
    set search_path = ''
    as $$
begin
    if to_regclass('public.user_memory') is not null then
        execute $query$
            delete from public.user_memory m
            where (m.user_id)::text = $1
                and md5('user_memory ' || (m.user_id)::text || ' ' || (m.key)::text)::uuid = $2
        $query$ using user_id, id;
    end if;
exception when undefined_column then
    return;
end
$$;

comment on function public.sonora_end_older_memory(text, uuid) is
    'A part of sonora_apply: deletes a row of the older user_memory that was forgotten or replaced.';

create or replace function public.sonora_shared_memory(row_limit integer)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    notes jsonb := '[]';
begin
    if to_regclass('public.shared_memory') is not null then
        execute $query$
            select coalesce(jsonb_agg(n.note), '[]') from (
                select (m.key)::text || ': ' || coalesce(to_jsonb(m.value) #>> '{}', '') as note
                from public.shared_memory m
                order by (m.key)::text
                limit $1
            ) as n
        $query$ into notes using row_limit;
    end if;
    return notes;
exception when undefined_column then
    return '[]';
end
$$;

comment on function public.sonora_shared_memory(integer) is
    'A part of sonora_known: the older shared_memory.';

-- What is remembered of a person:
--
--   memories  the latest first
--   choice    whether they want to be remembered, as said last, or null
--   shared    notes about everybody
--
-- `recall` says what is wanted: {limit, past, shared, patterns}. With a limit of 0 it is nothing;
-- past: also what holds no more; patterns: only what is like one of them.
create or replace function public.sonora_known(user_id text, recall jsonb)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    row_limit integer := coalesce((recall ->> 'limit')::integer, 0);
    past boolean := coalesce((recall ->> 'past')::boolean, false);
    patterns text[] := array(select jsonb_array_elements_text(coalesce(recall -> 'patterns', '[]')));
    memories jsonb := '[]';
    older jsonb := '[]';
begin
    if row_limit <= 0 or sonora_known.user_id is null then
        return '{"memories": [], "choice": null, "shared": []}';
    end if;
    if past then
        select coalesce(jsonb_agg(to_jsonb(f)), '[]') into memories from (
            select m.* from public.memories m
            where m.user_id = sonora_known.user_id and m.forgotten_at is null
                and (cardinality(patterns) = 0 or m.content ilike any (patterns))
            order by m.created_at desc, m.id desc
            limit row_limit
        ) as f;
    else
        select coalesce(jsonb_agg(to_jsonb(f)), '[]') into memories from (
            select m.* from public.memories m
            where m.user_id = sonora_known.user_id and m.forgotten_at is null
                and m.replaced_by is null and (m.valid_until is null or m.valid_until > now())
                and (cardinality(patterns) = 0 or m.content ilike any (patterns))
            order by m.created_at desc, m.id desc
            limit row_limit
        ) as f;
    end if;
    if jsonb_array_length(memories) < row_limit then
        older := public.sonora_older_memories(
            sonora_known.user_id, patterns, row_limit - jsonb_array_length(memories)
        );
    end if;
    return jsonb_build_object(
        'memories', memories || older,
        'choice', (
            select jsonb_build_object('remembers', c.remembers, 'created_at', c.created_at)
            from public.memory_choices c
            where c.user_id = sonora_known.user_id
            order by c.created_at desc, c.id desc
            limit 1
        ),
        'shared', case when coalesce((recall ->> 'shared')::boolean, false)
            then public.sonora_shared_memory(20) else '[]' end
    );
end
$$;
comment on function public.sonora_known(text, jsonb) is
    'What is remembered of a person. Only for the service key.';
-- The latest come from an index that has them in order, also while the planner knows nothing of
-- the table yet.
alter function public.sonora_known(text, jsonb) set enable_sort = off;

-- What `sonora_open` gives, and what is remembered of who asks, in one round trip.
create or replace function public.sonora_open_call(
    conversation_id uuid, user_id text default null, message_limit integer default 40,
    recall jsonb default '{}'
)
    returns jsonb
    language sql stable
    set search_path = ''
    as $$
        select public.sonora_open(
            sonora_open_call.conversation_id, sonora_open_call.user_id,
            sonora_open_call.message_limit
        ) || jsonb_build_object(
            'known', public.sonora_known(sonora_open_call.user_id, sonora_open_call.recall)
        )
    $$;
comment on function public.sonora_open_call(uuid, text, integer, jsonb) is
    'All that a call needs to know when it opens a conversation. Only for the service key.';

revoke all on function public.sonora_older_memories(text, text[], integer),
    public.sonora_end_older_memory(text, uuid), public.sonora_shared_memory(integer),
    public.sonora_known(text, jsonb), public.sonora_open_call(uuid, text, integer, jsonb)
    from public, anon, authenticated;
grant execute on function public.sonora_older_memories(text, text[], integer),
    public.sonora_end_older_memory(text, uuid), public.sonora_shared_memory(integer),
    public.sonora_known(text, jsonb), public.sonora_open_call(uuid, text, integer, jsonb)
    to service_role;

-- Applies entries of one table and one operation, in order, all or none. An entry:
--
--   table            conversations, sessions, messages, transitions, memories or memory_choices
--   operation        insert (a row that exists stays as it is) or update (of conversations and
--                    sessions: changes the fields that the payload names, and merges metadata or
--                    metrics key by key; of memories: ends one, see below)
--   conversation_id  the conversation it belongs to; null for what is remembered of a person
--   user_id          whose that conversation is, as the bot knows it; null: nobody's
--   payload          the row, or what changes of it
--
-- Nothing is written into a conversation that is somebody else's: whoever holds only its id
-- cannot reach it this way either. One that is nobody's takes entries from anyone who has its id.
create or replace function public.sonora_apply_alike(entries jsonb)
    returns void
    language plpgsql
    set search_path = ''
    as $$
declare
    kind text := (entries -> 0 ->> 'table') || ' ' || (entries -> 0 ->> 'operation');
    entry jsonb;
    conversation public.conversations;
    session public.sessions;
    memory public.memories;
    is_new integer;
begin
    case kind
    when 'conversations insert' then
        insert into public.conversations (
            id, user_id, title, summary, status, language, metadata, created_at, updated_at,
            last_message_at
        )
        select r.id, r.user_id, r.title, r.summary, coalesce(r.status, 'active'), r.language,
            coalesce(r.metadata, '{}'), r.created_at, r.updated_at, r.last_message_at
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.conversations, e -> 'payload') as r
        on conflict (id) do nothing;

    when 'sessions insert' then
        insert into public.sessions (
            id, conversation_id, transport, started_at, ended_at, end_reason, metrics, app_version
        )
        select r.id, r.conversation_id, r.transport, r.started_at, r.ended_at, r.end_reason,
            coalesce(r.metrics, '{}'), r.app_version
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.sessions, e -> 'payload') as r
        on conflict (id) do nothing;

    when 'messages insert' then
        insert into public.messages (
            id, conversation_id, session_id, seq, role, content, modality, interrupted, node,
            images, metadata, metrics, created_at, deleted_at
        )
        select r.id, r.conversation_id, r.session_id, r.seq, r.role, r.content,
            coalesce(r.modality, 'text'), coalesce(r.interrupted, false), r.node, r.images,
            coalesce(r.metadata, '{}'), coalesce(r.metrics, '{}'), r.created_at, r.deleted_at
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.messages, e -> 'payload') as r
        on conflict (id) do nothing;

    when 'transitions insert' then
        insert into public.transitions (
            id, conversation_id, session_id, seq, from_node, to_node, trigger, arguments,
            created_at
        )
        select r.id, r.conversation_id, r.session_id, r.seq, r.from_node, r.to_node, r.trigger,
            coalesce(r.arguments, '{}'), r.created_at
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.transitions, e -> 'payload') as r
        on conflict (id) do nothing;

    when 'conversations update' then
        for entry in select e.value from jsonb_array_elements(entries) with ordinality as e
            order by e.ordinality
        loop
            insert into public.applied_updates (conversation_id, digest)
            values (
                (entry #>> '{payload,id}')::uuid,
                sha256(convert_to(entry ->> 'payload', 'UTF8'))
            )
            on conflict do nothing;
            get diagnostics is_new = row_count;
            continue when is_new = 0;
            conversation := jsonb_populate_record(null::public.conversations, entry -> 'payload');
            update public.conversations c
            set title = coalesce(conversation.title, c.title),
                summary = coalesce(conversation.summary, c.summary),
                status = coalesce(conversation.status, c.status),
                language = coalesce(conversation.language, c.language),
                metadata = case
                    when entry #> '{payload,metadata}' is null then c.metadata::jsonb
                    when jsonb_typeof(c.metadata::jsonb) = 'object'
                        then c.metadata::jsonb || (entry #> '{payload,metadata}')
                    else entry #> '{payload,metadata}'
                end,
                updated_at = greatest(c.updated_at, conversation.updated_at)
            where c.id = conversation.id;
        end loop;

    when 'sessions update' then
        for entry in select e.value from jsonb_array_elements(entries) with ordinality as e
            order by e.ordinality
        loop
            session := jsonb_populate_record(null::public.sessions, entry -> 'payload');
            update public.sessions s
            set ended_at = coalesce(session.ended_at, s.ended_at),
                end_reason = coalesce(session.end_reason, s.end_reason),
                metrics = s.metrics || coalesce(session.metrics, '{}')
            where s.id = session.id;
            if not found then
                raise no_data_found using table = 'sessions';
            end if;
        end loop;

    when 'memories insert' then
        insert into public.memories (
            id, user_id, content, source_message_id, conversation_id, created_at, valid_until,
            replaced_by, forgotten_at, metadata
        )
        select r.id, r.user_id, r.content, r.source_message_id, r.conversation_id, r.created_at,
            r.valid_until, r.replaced_by, r.forgotten_at, coalesce(r.metadata, '{}')
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.memories, e -> 'payload') as r
        on conflict (id) do nothing;

    when 'memories update' then
        -- An end is never taken back, so that applying it again changes nothing.
        for memory in
            select r.* from jsonb_array_elements(entries) with ordinality as e,
                jsonb_populate_record(null::public.memories, e.value -> 'payload') as r
            order by e.ordinality
        loop
            update public.memories m
            set valid_until = least(m.valid_until, memory.valid_until),
                replaced_by = coalesce(m.replaced_by, memory.replaced_by),
                forgotten_at = coalesce(m.forgotten_at, memory.forgotten_at),
                content = case when memory.forgotten_at is null then m.content else '' end,
                metadata = case when memory.forgotten_at is null then m.metadata else '{}' end,
                source_message_id = case when memory.forgotten_at is null then m.source_message_id end,
                conversation_id = case when memory.forgotten_at is null then m.conversation_id end
            where m.id = memory.id and m.user_id = memory.user_id;
            if not found then
                perform public.sonora_end_older_memory(memory.user_id, memory.id);
            end if;
        end loop;

    when 'memory_choices insert' then
        insert into public.memory_choices (id, user_id, remembers, created_at)
        select r.id, r.user_id, r.remembers, r.created_at
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.memory_choices, e -> 'payload') as r
        on conflict (id) do nothing;

    else
        raise feature_not_supported using message = 'Sonora does not keep this kind of record.';
    end case;

    -- After the writes: a conversation that another writer has just made is seen by now.
    if exists (
        select from jsonb_array_elements(entries) as e
        join public.conversations c on c.id = (e ->> 'conversation_id')::uuid
        where c.user_id <> (jsonb_populate_record(
            null::public.conversations, jsonb_build_object('user_id', e -> 'user_id')
        )).user_id
    ) then
        raise exception using errcode = 'SN001', message = 'The conversation is another user''s.';
    end if;
end
$$;

create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 3 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 3. Only for the service key.';

notify pgrst, 'reload schema';
