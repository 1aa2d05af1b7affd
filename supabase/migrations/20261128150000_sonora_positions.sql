-- Which call holds a conversation, and where the talk is: `positions`.
--
-- A person who comes back, by a reload or from another device, goes on where the talk was. A
-- conversation is held by one call at a time, the one that began last: session ids are UUIDv7, and
-- so in the order of time. Safe to apply again.
select set_config('lock_timeout', '5s', true);

create table if not exists public.positions (
    conversation_id uuid primary key references public.conversations (id) on delete cascade,
    session_id uuid not null,
    node text not null,
    state jsonb not null default '{}',
    saying text,
    updated_at timestamptz not null
);

comment on table public.positions is
    'Which call holds a conversation, and where the talk is. Written by Sonora.';
comment on column public.positions.conversation_id is 'The conversation.';
comment on column public.positions.session_id is
    'The call that holds it: the one that began last. A call that finds another here ends.';
comment on column public.positions.node is 'The node of the flow that the talk is in.';
comment on column public.positions.state is 'What the prompts of the flow need to go on from there.';
comment on column public.positions.saying is
    'The fixed line that the bot was about to speak there; null: none.';
comment on column public.positions.updated_at is 'When it came there.';
comment on column public.sessions.end_reason is
    'Why it ended: goodbye, user_request, user_idle, time_limit, no_conversation, client_left, taken_over, shutdown, error or crashed.';

-- Who may do what. See the first migration.

alter table public.positions enable row level security;
revoke all on table public.positions from public, anon, authenticated;
grant all on table public.positions to service_role;
grant select on table public.positions to authenticated;

drop policy if exists sonora_read on public.positions;
create policy sonora_read on public.positions
    for select to authenticated
    using (exists (
        select from public.conversations c
        where c.id = positions.conversation_id and c.user_id = (select public.sonora_user_id())
    ));

-- What `sonora_open` gives, and in the same round trip:
--
--   known     what is remembered of who asks, see sonora_known
--   position  where the conversation stands, with ended_at and end_reason of the call that holds
--             it; null where that is not known, or the conversation is somebody else's
create or replace function public.sonora_open_call(
    conversation_id uuid, user_id text default null, message_limit integer default 40,
    recall jsonb default '{}'
)
    returns jsonb
    language sql stable
    set search_path = ''
    as $$
        select o.opened || jsonb_build_object(
            'known', public.sonora_known(sonora_open_call.user_id, sonora_open_call.recall),
            'position', case when o.opened -> 'conversation' ? 'status' then (
                select to_jsonb(p) || jsonb_build_object(
                    'ended_at', s.ended_at, 'end_reason', s.end_reason
                )
                from public.positions p left join public.sessions s on s.id = p.session_id
                where p.conversation_id = sonora_open_call.conversation_id
            ) end
        )
        from (
            select public.sonora_open(
                sonora_open_call.conversation_id, sonora_open_call.user_id,
                sonora_open_call.message_limit
            ) as opened
        ) as o
    $$;

-- Applies entries of one table and one operation, in order, all or none. An entry:
--
--   table            conversations, sessions, messages, transitions, positions, memories or
--                    memory_choices
--   operation        insert (a row that exists stays as it is) or update (of conversations and
--                    sessions: changes the fields that the payload names, and merges metadata or
--                    metrics key by key; of positions: writes one, unless a later one is there;
--                    of memories: ends one, see below)
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
    place public.positions;
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
            -- What a call says changes nothing once a later one holds the conversation.
            continue when exists (
                select from public.positions p
                where p.conversation_id = (entry #>> '{payload,id}')::uuid
                    and p.session_id > (entry #>> '{payload,session_id}')::uuid
            );
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

    when 'positions update' then
        for place in
            select r.* from jsonb_array_elements(entries) with ordinality as e,
                jsonb_populate_record(null::public.positions, e.value -> 'payload') as r
            order by e.ordinality
        loop
            insert into public.positions as p (
                conversation_id, session_id, node, state, saying, updated_at
            )
            values (
                place.conversation_id, place.session_id, place.node, coalesce(place.state, '{}'),
                place.saying, place.updated_at
            )
            on conflict (conversation_id) do update
            set session_id = excluded.session_id,
                node = excluded.node,
                state = excluded.state,
                saying = excluded.saying,
                updated_at = excluded.updated_at
            where (excluded.session_id, excluded.updated_at) > (p.session_id, p.updated_at);
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
    as $$ select 5 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 5. Only for the service key.';

notify pgrst, 'reload schema';
