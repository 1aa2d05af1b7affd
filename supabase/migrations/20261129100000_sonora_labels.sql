-- What whoever looks at conversations notes of them: `labels`. Safe to apply again.
select set_config('lock_timeout', '5s', true);

create table if not exists public.labels (
    id uuid primary key,
    conversation_id uuid not null references public.conversations (id) on delete cascade,
    session_id uuid,
    message_id uuid,
    name text not null,
    note text,
    created_at timestamptz not null,
    removed_at timestamptz
);

create index if not exists labels_of_conversation on public.labels (conversation_id, created_at);
create index if not exists labels_by_name
    on public.labels (name, conversation_id) where removed_at is null;

comment on table public.labels is
    'A label of a conversation, of a call of it or of a turn. Written by Sonora, for whoever runs it.';
comment on column public.labels.id is 'UUIDv7, made by Sonora.';
comment on column public.labels.conversation_id is 'The conversation it stands in.';
comment on column public.labels.session_id is
    'The call it stands at, or whose turn it stands at; null: at the conversation. It may be gone.';
comment on column public.labels.message_id is
    'The turn it stands at; null: at the call or the conversation. It may be gone.';
comment on column public.labels.name is 'What it says, in small letters; empty: it was taken away.';
comment on column public.labels.note is 'What else is noted; null: nothing.';
comment on column public.labels.created_at is 'When it was given.';
comment on column public.labels.removed_at is 'When it was taken away; null: it stands.';

-- Nobody's but the service key's: they are the notes of whoever runs the bot.
alter table public.labels enable row level security;
revoke all on table public.labels from public, anon, authenticated;
grant all on table public.labels to service_role;

-- Applies entries of one table and one operation, in order, all or none. An entry:
--
--   table            conversations, sessions, messages, transitions, tool_calls, positions,
--                    labels, memories or memory_choices
--   operation        insert (a row that exists stays as it is) or update (of conversations and
--                    sessions: changes the fields that the payload names, and merges metadata or
--                    metrics key by key; of positions: writes one, unless a later one is there;
--                    of tool_calls and memories: ends one, see below; of labels: takes one away)
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
    tool_call public.tool_calls;
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

    when 'tool_calls insert' then
        insert into public.tool_calls (
            id, conversation_id, session_id, message_id, name, arguments, status, result,
            idempotency_key, started_at, ended_at
        )
        select r.id, r.conversation_id, r.session_id, r.message_id, r.name,
            coalesce(r.arguments, '{}'), r.status, r.result, r.idempotency_key, r.started_at,
            r.ended_at
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.tool_calls, e -> 'payload') as r
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

    when 'tool_calls update' then
        -- The first end counts; what was unknown may be learned later.
        for tool_call in
            select r.* from jsonb_array_elements(entries) with ordinality as e,
                jsonb_populate_record(null::public.tool_calls, e.value -> 'payload') as r
            order by e.ordinality
        loop
            update public.tool_calls t
            set status = tool_call.status,
                result = coalesce(tool_call.result, t.result),
                message_id = coalesce(tool_call.message_id, t.message_id),
                ended_at = tool_call.ended_at
            where t.id = tool_call.id and t.conversation_id = tool_call.conversation_id
                and (t.status = 'started' or t.status = 'unknown' and tool_call.status <> 'unknown');
            if not found and not exists (
                select from public.tool_calls t
                where t.id = tool_call.id and t.conversation_id = tool_call.conversation_id
            ) then
                raise no_data_found using table = 'tool_calls';
            end if;
        end loop;

    when 'labels insert' then
        insert into public.labels (
            id, conversation_id, session_id, message_id, name, note, created_at, removed_at
        )
        select r.id, r.conversation_id, r.session_id, r.message_id, r.name, r.note, r.created_at,
            r.removed_at
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.labels, e -> 'payload') as r
        on conflict (id) do nothing;

    when 'labels update' then
        -- One that is not here was never shipped, or went with its conversation: it is gone.
        update public.labels l
        set removed_at = least(l.removed_at, r.removed_at), name = '', note = null
        from jsonb_array_elements(entries) as e,
            jsonb_populate_record(null::public.labels, e -> 'payload') as r
        where l.id = r.id and l.conversation_id = r.conversation_id;

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
            ('tool_calls', 'conversation_id = any ($1)', 'conversation_id'),
            ('labels', 'conversation_id = any ($1)', 'conversation_id'),
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

-- The conversations that fit `wanted`, the one talked in last first, those that nobody talked in yet
-- at the end, without those that their owner deleted:
--
--   user_id       whose; null: everybody's
--   status        how they stand; null: all
--   since, until  last talked in from when, and before when, or begun where nobody talked; null: all
--   words         folded words, each of which begins a word of one message, or of the title with the
--                 summary; null or empty: all
--   failed        true: where a call ended by an error, or a tool failed
--   slow          where an answer took this many milliseconds or more; null: all
--   outcome       what they came to; null: all
--   call          one call of theirs of which all of this is true: {since, until, ended, cut, failure,
--                 version, flow}; each null is anything
--   label         with this label; null: all
--   lately        since when a call may have begun that has no end and still goes on
--
-- Gives {total, rows}: how many fit, and of `row_limit` of them, after the first `row_offset`, the
-- conversation with `message_count`, `calling` (a call may go on in it), `labels` (their names) and
-- `hit`: {id, content} of the first message that fits the words; null where that is the title or the
-- summary.
create or replace function public.sonora_conversations(
    wanted jsonb default '{}', row_limit integer default 50, row_offset integer default 0
)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    -- Compiling the query takes longer than running it.
    set jit = off
    as $$
declare
    owner public.conversations.user_id%type;
    asked tsquery;
    since timestamptz := wanted ->> 'since';
    until timestamptz := wanted ->> 'until';
    such jsonb := nullif(wanted -> 'call', 'null');
    found jsonb;
begin
    begin
        owner := wanted ->> 'user_id';
    exception when invalid_text_representation then
        -- Not a uuid, in a project whose users are: a user of no conversation.
        return '{"total": 0, "rows": []}';
    end;
    select string_agg(quote_literal(w) || ':*', ' & ')::tsquery into asked
    from jsonb_array_elements_text(
        case when jsonb_typeof(wanted -> 'words') = 'array' then wanted -> 'words' else '[]' end
    ) as w;

    with said as materialized (
        select m.id, m.conversation_id, m.created_at, m.seq from public.messages m
        where m.deleted_at is null and to_tsvector('simple', translate(
            lower(regexp_replace(normalize(m.content, NFKD), '[\u0300-\u036f]', '', 'g')),
            '@./-_', '     '
        )) @@ asked
    ),
    fitting as materialized (
        select c.id, c.last_message_at, c.created_at from public.conversations c
        where c.deleted_at is null
            and (owner is null or c.user_id = owner)
            and (wanted ->> 'status' is null or c.status = wanted ->> 'status')
            and (since is null or coalesce(c.last_message_at, c.created_at) >= since)
            and (until is null or coalesce(c.last_message_at, c.created_at) < until)
            and (
                asked is null
                or c.id in (select s.conversation_id from said s)
                or c.id in (
                    select n.id from public.conversations n
                    where to_tsvector('simple', translate(
                        lower(regexp_replace(
                            normalize(coalesce(n.title, '') || ' ' || coalesce(n.summary, ''), NFKD),
                            '[\u0300-\u036f]', '', 'g'
                        )),
                        '@./-_', '     '
                    )) @@ asked
                )
            )
            and (
                not coalesce((wanted ->> 'failed')::boolean, false)
                or c.id in (
                    select s.conversation_id from public.sessions s
                    where s.end_reason in ('error', 'crashed')
                    union all
                    select t.conversation_id from public.tool_calls t
                    where t.status in ('failed', 'unknown')
                )
            )
            and (wanted ->> 'outcome' is null or c.metadata ->> 'outcome' = wanted ->> 'outcome')
            and (
                such is null
                or c.id in (
                    select s.conversation_id from public.sessions s
                    where (such ->> 'since' is null or s.started_at >= (such ->> 'since')::timestamptz)
                        and (such ->> 'until' is null or s.started_at < (such ->> 'until')::timestamptz)
                        and (such ->> 'ended' is null or s.end_reason = such ->> 'ended')
                        and (such ->> 'version' is null or s.app_version = such ->> 'version')
                        and (such ->> 'flow' is null or s.metrics ->> 'flow_version' = such ->> 'flow')
                        and (
                            not coalesce((such ->> 'cut')::boolean, false)
                            or coalesce((s.metrics ->> 'turns_cut')::integer, 0) > 0
                        )
                        and (
                            such ->> 'failure' is null
                            or coalesce(s.metrics -> 'failures', '{}') ? (such ->> 'failure')
                            or such ->> 'failure' = 'tool' and exists (
                                select from public.tool_calls t
                                where t.session_id = s.id and t.status in ('failed', 'unknown')
                            )
                        )
                )
            )
            and (
                wanted ->> 'label' is null
                or c.id in (
                    select l.conversation_id from public.labels l
                    where l.name = wanted ->> 'label' and l.removed_at is null
                )
            )
            and (
                wanted ->> 'slow' is null
                or c.id in (
                    select s.conversation_id from public.sessions s
                    where jsonb_path_match(
                        s.metrics, 'exists($.latency_ms.worst ? (@ >= $ms))',
                        jsonb_build_object('ms', wanted -> 'slow'), true
                    )
                )
            )
    ),
    page as (
        select f.*, row_number() over (
            order by f.last_message_at desc nulls last, f.created_at desc, f.id desc
        ) as place
        from fitting f
        order by place
        limit row_limit offset row_offset
    ),
    -- Of each of them the first that was said of the words.
    first_said as (
        select distinct on (s.conversation_id) s.conversation_id, s.id
        from said s join page p on p.id = s.conversation_id
        order by s.conversation_id, s.created_at, s.seq nulls first
    )
    select jsonb_build_object(
        'total', (select count(*) from fitting),
        'rows', coalesce(jsonb_agg(
            to_jsonb(c) || jsonb_build_object(
                'message_count', coalesce(c.message_count, (
                    select count(*) from public.messages m
                    where m.conversation_id = c.id and m.deleted_at is null
                )),
                'calling', exists (
                    select from public.sessions s
                    where s.conversation_id = c.id and s.ended_at is null
                        and s.started_at > (wanted ->> 'lately')::timestamptz
                ),
                'labels', (
                    select coalesce(jsonb_agg(distinct l.name), '[]') from public.labels l
                    where l.conversation_id = c.id and l.removed_at is null
                ),
                'hit', case when h.id is not null then
                    jsonb_build_object('id', h.id, 'content', h.content)
                end
            ) order by p.place
        ), '[]')
    )
    into found
    from page p
    join public.conversations c on c.id = p.id
    left join first_said f on f.conversation_id = p.id
    left join public.messages h on h.id = f.id;
    return found;
end
$$;
comment on function public.sonora_conversations(jsonb, integer, integer) is
    'The conversations that fit, and how many there are. Only for the service key.';
revoke all on function public.sonora_conversations(jsonb, integer, integer)
    from public, anon, authenticated;
grant execute on function public.sonora_conversations(jsonb, integer, integer) to service_role;

create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 10 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 10. Only for the service key.';

notify pgrst, 'reload schema';
