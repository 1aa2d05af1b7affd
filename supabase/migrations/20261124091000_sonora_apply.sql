-- How the bot's outbox gets here: `sonora_apply`, and what it needs.
select set_config('lock_timeout', '5s', true);

-- Updates have no id. One that comes again, since the answer to the first time was lost, must not
-- undo what somebody else changed in between: it is known by its content.
create table if not exists public.applied_updates (
    conversation_id uuid not null references public.conversations (id) on delete cascade,
    digest bytea not null,
    primary key (conversation_id, digest)
);
comment on table public.applied_updates is
    'The updates of conversations that were applied, so that none is applied twice. Used by sonora_apply only.';
comment on column public.applied_updates.conversation_id is 'The conversation that was updated.';
comment on column public.applied_updates.digest is 'The SHA-256 of the update.';
alter table public.applied_updates enable row level security;
revoke all on table public.applied_updates from public, anon, authenticated;
grant all on table public.applied_updates to service_role;

-- Applies entries of one table and one operation, in order, all or none. An entry:
--
--   table            conversations, sessions, messages or transitions
--   operation        insert (a row that exists stays as it is) or update (only of conversations
--                    and sessions: changes the fields that the payload names, and merges
--                    metadata or metrics key by key)
--   conversation_id  the conversation it belongs to
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
comment on function public.sonora_apply_alike(jsonb) is 'A part of sonora_apply.';

-- Applies entries of the outbox (see above) in order, in one transaction, and says of each what
-- became of it: null, or {sqlstate, message} when it is refused for good. The message names a
-- constraint, a column or a table, and holds no value. Entries may be applied again: what is there
-- already is left as it is.
--
-- An error that may pass (a lock, a lack of memory) or that lies in the schema is raised, and
-- nothing was applied.
create or replace function public.sonora_apply(entries jsonb)
    returns jsonb
    language plpgsql
    set search_path = ''
    as $$
declare
    run record;
    entry jsonb;
    results jsonb := '[]';
    state text;
    of_constraint text;
    of_column text;
    of_table text;
begin
    -- Runs of entries of one kind are applied together: a hundred messages with one statement.
    for run in
        select jsonb_agg(n.value order by n.ordinality) as entries
        from (
            select e.value, e.ordinality,
                e.ordinality - row_number() over (
                    partition by e.value -> 'table', e.value -> 'operation' order by e.ordinality
                ) as island
            from jsonb_array_elements(sonora_apply.entries) with ordinality as e
        ) as n
        group by n.value -> 'table', n.value -> 'operation', n.island
        order by min(n.ordinality)
    loop
        begin
            perform public.sonora_apply_alike(run.entries);
            results := results || (
                select jsonb_agg(null::jsonb) from jsonb_array_elements(run.entries)
            );
            continue;
        exception when others then
            -- One of them: each for itself, then.
        end;
        for entry in select e.value from jsonb_array_elements(run.entries) with ordinality as e
            order by e.ordinality
        loop
            begin
                perform public.sonora_apply_alike(jsonb_build_array(entry));
                results := results || jsonb_build_array(null::jsonb);
            exception when others then
                get stacked diagnostics
                    state = returned_sqlstate,
                    of_constraint = constraint_name,
                    of_column = column_name,
                    of_table = table_name;
                -- A bad value, a constraint, a limit, a check of a view, a trigger that says no,
                -- a policy, another user's conversation: these are refusals.
                if left(state, 2) not in ('22', '23', '44', '54', 'P0', 'SN')
                    and state not in ('42501', '0A000')
                then
                    raise;
                end if;
                results := results || jsonb_build_array(jsonb_build_object(
                    'sqlstate', state,
                    'message', coalesce(
                        nullif(of_constraint, ''), nullif(of_column, ''), nullif(of_table, ''), ''
                    )
                ));
            end;
        end loop;
    end loop;
    return results;
end
$$;
comment on function public.sonora_apply(jsonb) is
    'Applies what the bot''s outbox holds, and says of each entry what became of it. Only for the service key.';

revoke all on function public.sonora_apply(jsonb), public.sonora_apply_alike(jsonb)
    from public, anon, authenticated;
grant execute on function public.sonora_apply(jsonb), public.sonora_apply_alike(jsonb)
    to service_role;

create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 2 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 2. Only for the service key.';

notify pgrst, 'reload schema';
