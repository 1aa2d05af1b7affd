-- What keeps `conversations` in step with `messages`, what the bot reads, and the schema's version.
select set_config('lock_timeout', '5s', true);

-- Triggers: they pay for themselves in that a list of conversations sorts by an index and shows
-- counts without counting, and that a conversation of 20,000 messages opens as fast as one of 20.
-- They run as the owner of the tables, since a user who deletes a message may not write the count.

create or replace function public.sonora_messages_inserted()
    returns trigger
    language plpgsql security definer
    set search_path = ''
    as $$
begin
    -- In one order, so that two batches that touch the same conversations do not lock each other
    -- out; and before the update, so that the count below sees what the other batch committed.
    perform from public.conversations c
    where c.id in (select i.conversation_id from inserted i)
    order by c.id
    for no key update;

    update public.conversations c
    set message_count = case
            when c.message_count is not null then c.message_count + added.messages
            else (
                select count(*) from public.messages m
                where m.conversation_id = c.id and m.deleted_at is null
            )
        end,
        last_message_at = greatest(c.last_message_at, added.latest),
        updated_at = greatest(c.updated_at, added.latest)
    from (
        select i.conversation_id,
               count(*) filter (where i.deleted_at is null) as messages,
               max(i.created_at) as latest
        from inserted i
        group by i.conversation_id
    ) as added
    where c.id = added.conversation_id;
    return null;
end
$$;

create or replace function public.sonora_messages_updated()
    returns trigger
    language plpgsql security definer
    set search_path = ''
    as $$
begin
    update public.conversations c
    set message_count = c.message_count + delta.messages
    from (
        select n.conversation_id, sum(n.messages) as messages
        from (
            select u.conversation_id, 1 as messages from after_update u where u.deleted_at is null
            union all
            select u.conversation_id, -1 from before_update u where u.deleted_at is null
        ) as n
        group by n.conversation_id
        having sum(n.messages) <> 0
    ) as delta
    where c.id = delta.conversation_id;
    return null;
end
$$;

create or replace function public.sonora_messages_deleted()
    returns trigger
    language plpgsql security definer
    set search_path = ''
    as $$
begin
    update public.conversations c
    set message_count = c.message_count - gone.messages
    from (
        select d.conversation_id, count(*) as messages
        from deleted d
        where d.deleted_at is null
        group by d.conversation_id
    ) as gone
    where c.id = gone.conversation_id;
    return null;
end
$$;

-- Writing again what was written, in whatever order it arrives, must not turn time back. A change
-- by a front end that does not say when it was made was made now.
create or replace function public.sonora_conversation_updated()
    returns trigger
    language plpgsql
    set search_path = ''
    as $$
begin
    if new.updated_at is not distinct from old.updated_at
        and (new.title, new.deleted_at) is distinct from (old.title, old.deleted_at)
    then
        new.updated_at := now();
    end if;
    new.updated_at := greatest(old.updated_at, new.updated_at);
    new.last_message_at := greatest(old.last_message_at, new.last_message_at);
    return new;
end
$$;

comment on function public.sonora_messages_inserted() is 'Keeps message_count, last_message_at and updated_at.';
comment on function public.sonora_messages_updated() is 'Keeps message_count.';
comment on function public.sonora_messages_deleted() is 'Keeps message_count.';
comment on function public.sonora_conversation_updated() is 'Keeps updated_at and last_message_at from going back.';
revoke all on function public.sonora_messages_inserted() from public, anon, authenticated;
revoke all on function public.sonora_messages_updated() from public, anon, authenticated;
revoke all on function public.sonora_messages_deleted() from public, anon, authenticated;
revoke all on function public.sonora_conversation_updated() from public, anon, authenticated;

create or replace trigger sonora_messages_inserted
    after insert on public.messages
    referencing new table as inserted
    for each statement execute function public.sonora_messages_inserted();

create or replace trigger sonora_messages_updated
    after update on public.messages
    referencing old table as before_update new table as after_update
    for each statement execute function public.sonora_messages_updated();

create or replace trigger sonora_messages_deleted
    after delete on public.messages
    referencing old table as deleted
    for each statement execute function public.sonora_messages_deleted();

create or replace trigger sonora_conversation_updated
    before update on public.conversations
    for each row execute function public.sonora_conversation_updated();

-- All that a call needs to know when it opens a conversation, in one round trip:
--
--   conversation         the conversation, or null when there is none with this id (or no id)
--   messages             its newest messages, oldest first, deleted ones left out
--   older_messages       how many earlier ones were left out
--   last_message_seq     the highest seq of its messages, 0 when there is none
--   last_transition_seq  the highest seq of its transitions, 0 when there is none
--   previous             the conversation that this user talked in last, other than this one and
--                        not deleted, or null
--
-- Of somebody else's conversation it gives no more than id, user_id and the times: enough to
-- refuse it. Without a user, nothing is held back and there is no `previous`.
create or replace function public.sonora_open(
    conversation_id uuid, user_id text default null, message_limit integer default 40
)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    caller public.conversations.user_id%type;
    found_rows jsonb;
    newest jsonb := '[]';
    total bigint := 0;
    message_seq integer := 0;
    transition_seq integer := 0;
begin
    begin
        caller := sonora_open.user_id;
    exception when invalid_text_representation then
        -- Not a uuid, in a project whose users are: a user of no conversation.
        caller := null;
    end;

    select jsonb_object_agg(
        r.place,
        jsonb_build_object(
            'id', r.id,
            'user_id', r.user_id,
            'created_at', coalesce(r.created_at::timestamptz, 'epoch'),
            'updated_at', coalesce(r.updated_at, r.last_message_at, r.created_at::timestamptz, 'epoch'),
            'deleted_at', r.deleted_at
        ) || case when r.user_id::text <> coalesce(caller::text, sonora_open.user_id) then '{}' else jsonb_build_object(
            'title', r.title,
            'summary', r.summary,
            'status', r.status,
            'language', r.language,
            'metadata', r.metadata,
            -- A conversation from before, which no message has been added to since.
            'last_message_at', coalesce(r.last_message_at, (
                select m.created_at::timestamptz from public.messages m
                where m.conversation_id = r.id
                order by m.created_at desc limit 1
            ))
        ) end
    )
    into found_rows
    from (
        select 'conversation' as place, c.* from public.conversations c
        where c.id = sonora_open.conversation_id
        union all
        (
            select 'previous', c.* from public.conversations c
            where c.user_id = caller
                and c.deleted_at is null
                and c.id is distinct from sonora_open.conversation_id
                and (
                    c.last_message_at is not null
                    or exists (select from public.messages m where m.conversation_id = c.id)
                )
            order by c.last_message_at desc nulls last, c.created_at desc, c.id desc
            limit 1
        )
    ) as r;
    found_rows := '{"conversation": null, "previous": null}' || coalesce(found_rows, '{}');

    if found_rows -> 'conversation' ? 'status' then
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'id', m.id,
                'conversation_id', m.conversation_id,
                'session_id', m.session_id,
                'seq', m.seq,
                'role', m.role,
                'content', m.content,
                'modality', m.modality,
                'interrupted', m.interrupted,
                'node', m.node,
                'images', m.images,
                'metadata', m.metadata,
                'metrics', m.metrics,
                'created_at', coalesce(m.created_at::timestamptz, 'epoch'),
                'deleted_at', m.deleted_at
            )
            order by m.created_at, m.seq nulls first, m.id
        ), '[]')
        into newest
        from (
            select n.* from public.messages n
            where n.conversation_id = sonora_open.conversation_id and n.deleted_at is null
            order by n.created_at desc, n.seq desc nulls last, n.id desc
            limit greatest(coalesce(message_limit, 0), 0)
        ) as m;

        select coalesce(c.message_count, (
            select count(*) from public.messages m
            where m.conversation_id = c.id and m.deleted_at is null
        ))
        into total
        from public.conversations c where c.id = sonora_open.conversation_id;

        select coalesce(max(m.seq), 0) into message_seq
        from public.messages m
        where m.conversation_id = sonora_open.conversation_id and m.seq is not null;

        select coalesce(max(t.seq), 0) into transition_seq
        from public.transitions t where t.conversation_id = sonora_open.conversation_id;
    end if;

    return found_rows || jsonb_build_object(
        'messages', newest,
        'older_messages', total - jsonb_array_length(newest),
        'last_message_seq', message_seq,
        'last_transition_seq', transition_seq
    );
end
$$;
comment on function public.sonora_open(uuid, text, integer) is
    'All that a call needs to know when it opens a conversation. Only for the service key.';
revoke all on function public.sonora_open(uuid, text, integer) from public, anon, authenticated;
grant execute on function public.sonora_open(uuid, text, integer) to service_role;

-- The version of this schema. A migration that the bot depends on sets the next number, as its
-- last statement; the bot says which number it needs. Where the function is missing, the
-- migrations were not applied.
create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 1 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 1. Only for the service key.';
revoke all on function public.sonora_schema_version() from public, anon, authenticated;
grant execute on function public.sonora_schema_version() to service_role;

-- So that the API sees all of this at once.
notify pgrst, 'reload schema';
