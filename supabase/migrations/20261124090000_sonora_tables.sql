-- The tables, and who may do what with them.
--
-- For an empty project, for one that already has `conversations(id, user_id, title, metadata,
-- created_at)` and `messages(id, conversation_id, role, content, images, created_at, deleted_at)`
-- with rows in them, and again on top of itself. It only adds.
--
-- Every statement here takes milliseconds, whatever the size of the tables: a column is added
-- without a default or with a constant one, which PostgreSQL keeps in the catalogue and not in
-- the rows; a constraint is added NOT VALID, so that only new rows are checked. What reads whole
-- tables (checking the rows that were there, building indexes) is in the next file, under locks
-- that let others read. Each file is one transaction.
--
-- The locks it takes are brief, but whoever waits for one makes everybody after it wait too. So it
-- gives up after five seconds behind a long query, having changed nothing: apply it again.
select set_config('lock_timeout', '5s', true);

do $$
declare
    misfit text;
begin
    -- What is there must be what is meant: a table of the same name and another purpose is left
    -- alone, and the migration stops here.
    select format('public.%s.%s is %s', needed.of_table, needed.of_column,
                  coalesce(format_type(a.atttypid, null), 'missing'))
    into misfit
    from (values
        ('conversations', 'id', '{uuid}'::text[]),
        ('conversations', 'user_id', '{uuid,text,character varying}'),
        ('conversations', 'title', null),
        ('conversations', 'metadata', null),
        ('conversations', 'created_at', null),
        ('messages', 'id', '{uuid}'),
        ('messages', 'conversation_id', '{uuid}'),
        ('messages', 'role', null),
        ('messages', 'content', null),
        ('messages', 'images', null),
        ('messages', 'created_at', null),
        ('messages', 'deleted_at', null),
        ('sessions', 'conversation_id', '{uuid}'),
        ('sessions', 'app_version', null),
        ('transitions', 'conversation_id', '{uuid}'),
        ('transitions', 'to_node', null)
    ) as needed (of_table, of_column, types)
    join pg_catalog.pg_class t
        on t.relname = needed.of_table and t.relnamespace = 'public'::regnamespace
    left join pg_catalog.pg_attribute a
        on a.attrelid = t.oid and a.attname = needed.of_column and not a.attisdropped
    where a.attname is null or not format_type(a.atttypid, null) = any (needed.types)
    limit 1;
    if misfit is not null then
        raise exception 'A table here is not the one that Sonora means: %.', misfit
            using hint = 'Nothing was changed. Rename that table, or use another project.';
    end if;
end
$$;

-- As the text-chat API has them. Where they exist, this does nothing.

create table if not exists public.conversations (
    id uuid primary key default gen_random_uuid(),
    user_id text,
    title text,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now()
);

create table if not exists public.messages (
    id uuid primary key default gen_random_uuid(),
    conversation_id uuid not null references public.conversations (id) on delete cascade,
    role text not null,
    content text,
    images jsonb,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);

-- Where the older `messages` has no foreign key to `conversations`, none is added: an API that
-- writes a message before its conversation goes on working.

create table if not exists public.sessions (
    id uuid primary key,
    conversation_id uuid not null references public.conversations (id) on delete cascade,
    transport text not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    end_reason text,
    metrics jsonb not null default '{}',
    app_version text not null
);

create table if not exists public.transitions (
    id uuid primary key,
    conversation_id uuid not null references public.conversations (id) on delete cascade,
    session_id uuid not null references public.sessions (id) on delete cascade,
    seq integer not null,
    from_node text not null,
    to_node text not null,
    trigger text not null,
    arguments jsonb not null default '{}',
    created_at timestamptz not null
);

-- Null in these is "not known" for a conversation from before; readers make do (see
-- `sonora_open`), and its next message fills them in.
alter table public.conversations
    add column if not exists summary text,
    add column if not exists status text not null default 'active',
    add column if not exists language text,
    add column if not exists updated_at timestamptz,
    add column if not exists last_message_at timestamptz,
    add column if not exists message_count integer,
    add column if not exists deleted_at timestamptz;

-- For conversations from now on. As part of adding the column, these would go for all of them.
alter table public.conversations
    alter column updated_at set default now(),
    alter column message_count set default 0;

alter table public.messages
    add column if not exists session_id uuid,
    add column if not exists seq integer,
    add column if not exists modality text not null default 'text',
    add column if not exists interrupted boolean not null default false,
    add column if not exists node text,
    add column if not exists metadata jsonb not null default '{}',
    add column if not exists metrics jsonb not null default '{}';

do $$
begin
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'public.conversations'::regclass and conname = 'conversations_status_check'
    ) then
        alter table public.conversations add constraint conversations_status_check
            check (status in ('active', 'completed', 'abandoned', 'failed')) not valid;
    end if;
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'public.messages'::regclass and conname = 'messages_modality_check'
    ) then
        alter table public.messages add constraint messages_modality_check
            check (modality in ('voice', 'text')) not valid;
    end if;
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'public.messages'::regclass and conname = 'messages_session_id_fkey'
    ) then
        -- What was said outlives the record of the call it was said in.
        alter table public.messages add constraint messages_session_id_fkey
            foreign key (session_id) references public.sessions (id) on delete set null not valid;
    end if;
end
$$;

comment on table public.conversations is
    'One thread of talk with one user, over any number of calls and chats. Shared by Sonora and the text-chat API.';
comment on column public.conversations.id is 'Made by whoever writes the row; Sonora makes UUIDv7.';
comment on column public.conversations.user_id is
    'Whose it is: the id of the user in Supabase Auth. Null in older rows: nobody''s, and no signed-in user sees it.';
comment on column public.conversations.title is 'A name for lists. Its owner may change it.';
comment on column public.conversations.summary is 'What was talked about, for the next call to start from.';
comment on column public.conversations.status is 'How the last call left it: active, completed, abandoned or failed.';
comment on column public.conversations.language is 'What is spoken in it: es or en.';
comment on column public.conversations.metadata is
    'What a call learned: user_name, topics, outcome. Anything else is kept as it is.';
comment on column public.conversations.created_at is 'When it began.';
comment on column public.conversations.updated_at is
    'When anything in it changed last; it never goes back. Null: not since before this column.';
comment on column public.conversations.last_message_at is
    'The created_at of its latest message, kept by a trigger. Null: none yet, or none since before this column.';
comment on column public.conversations.message_count is
    'How many of its messages are not deleted, kept by triggers. Null: not counted yet; its next message counts them.';
comment on column public.conversations.deleted_at is
    'When its owner deleted it; null: not deleted. Front ends leave out the deleted ones. Its owner may change it.';

comment on table public.sessions is 'One call: from connecting to hanging up. Written by Sonora.';
comment on column public.sessions.id is 'UUIDv7, made by Sonora.';
comment on column public.sessions.conversation_id is 'The conversation that was talked in.';
comment on column public.sessions.transport is 'What carried it: daily, webrtc, eval.';
comment on column public.sessions.started_at is 'When it began.';
comment on column public.sessions.ended_at is 'When it ended; null: it goes on, or its process died and nobody tidied up yet.';
comment on column public.sessions.end_reason is
    'Why it ended: goodbye, user_request, user_idle, time_limit, no_conversation, client_left, shutdown, error or crashed.';
comment on column public.sessions.metrics is 'Latencies, tokens and characters spoken.';
comment on column public.sessions.app_version is 'The version of Sonora.';

comment on table public.messages is
    'One turn of one speaker. Within a conversation the order is by created_at, then seq (rows without one first), then id.';
comment on column public.messages.id is 'Made by whoever writes the row; Sonora makes UUIDv7.';
comment on column public.messages.conversation_id is 'The conversation it is part of.';
comment on column public.messages.session_id is 'The call it was said in; null: written by the text-chat API.';
comment on column public.messages.seq is
    'Its place among what Sonora wrote in this conversation, from 1; null: written by the text-chat API.';
comment on column public.messages.role is 'Who: user or assistant. The text-chat API also writes agent.';
comment on column public.messages.content is
    'What was heard: an interrupted turn of the assistant ends where the user cut in. Null: images only.';
comment on column public.messages.modality is 'How: voice or text.';
comment on column public.messages.interrupted is 'Whether it was cut short.';
comment on column public.messages.node is 'The node of the flow it was said in.';
comment on column public.messages.images is 'Images that came with it, as the text-chat API writes them.';
comment on column public.messages.metadata is 'Anything else to keep with it.';
comment on column public.messages.metrics is 'Its timings, in milliseconds.';
comment on column public.messages.created_at is 'When the turn began.';
comment on column public.messages.deleted_at is
    'When it was deleted; null: not deleted. Readers leave out the deleted ones. The owner of the conversation may change it.';

comment on table public.transitions is 'One step of the flow from node to node, and what caused it. Written by Sonora.';
comment on column public.transitions.id is 'UUIDv7, made by Sonora.';
comment on column public.transitions.conversation_id is 'The conversation it is part of.';
comment on column public.transitions.session_id is 'The call it was made in.';
comment on column public.transitions.seq is 'Its place among the steps of the conversation, from 1.';
comment on column public.transitions.from_node is 'The node that was left.';
comment on column public.transitions.to_node is 'The node that was entered.';
comment on column public.transitions.trigger is 'The function of the flow that was taken.';
comment on column public.transitions.arguments is 'What it was called with.';
comment on column public.transitions.created_at is 'When it was taken.';

-- Who may do what.
--
-- Supabase grants everything in `public` to everybody and leaves the rest to policies. Here the
-- grants say which verbs and columns, and the policies which rows. `service_role` has all of it,
-- and passes the policies by.

-- The signed-in user, in the type of `conversations.user_id` (text, or uuid in some older
-- projects), so that comparing the two can use an index.
create or replace function public.sonora_user_id()
    returns public.conversations.user_id%type
    language sql stable
    set search_path = ''
    return auth.uid();
comment on function public.sonora_user_id() is
    'The signed-in user, in the type of conversations.user_id. For policies.';
revoke all on function public.sonora_user_id() from public, anon, authenticated;
grant execute on function public.sonora_user_id() to authenticated, service_role;

alter table public.conversations enable row level security;
alter table public.sessions enable row level security;
alter table public.messages enable row level security;
alter table public.transitions enable row level security;

revoke all on table public.conversations, public.sessions, public.messages, public.transitions
    from public, anon, authenticated;
grant all on table public.conversations, public.sessions, public.messages, public.transitions
    to service_role;
grant select on table public.conversations, public.sessions, public.messages, public.transitions
    to authenticated;
grant update (title, deleted_at) on table public.conversations to authenticated;
grant update (deleted_at) on table public.messages to authenticated;

-- The two older tables may have policies of their own, and permissive policies add up. The
-- restrictive ones hold whatever else there is.

drop policy if exists sonora_own_only on public.conversations;
create policy sonora_own_only on public.conversations
    as restrictive for all to authenticated
    using (user_id = (select public.sonora_user_id()));
drop policy if exists sonora_read on public.conversations;
create policy sonora_read on public.conversations
    for select to authenticated
    using (user_id = (select public.sonora_user_id()));
drop policy if exists sonora_update on public.conversations;
create policy sonora_update on public.conversations
    for update to authenticated
    using (user_id = (select public.sonora_user_id()));

drop policy if exists sonora_own_only on public.messages;
create policy sonora_own_only on public.messages
    as restrictive for all to authenticated
    using (exists (
        select from public.conversations c
        where c.id = conversation_id and c.user_id = (select public.sonora_user_id())
    ));
drop policy if exists sonora_read on public.messages;
create policy sonora_read on public.messages
    for select to authenticated
    using (exists (
        select from public.conversations c
        where c.id = conversation_id and c.user_id = (select public.sonora_user_id())
    ));
drop policy if exists sonora_update on public.messages;
create policy sonora_update on public.messages
    for update to authenticated
    using (exists (
        select from public.conversations c
        where c.id = conversation_id and c.user_id = (select public.sonora_user_id())
    ));

drop policy if exists sonora_read on public.sessions;
create policy sonora_read on public.sessions
    for select to authenticated
    using (exists (
        select from public.conversations c
        where c.id = conversation_id and c.user_id = (select public.sonora_user_id())
    ));

drop policy if exists sonora_read on public.transitions;
create policy sonora_read on public.transitions
    for select to authenticated
    using (exists (
        select from public.conversations c
        where c.id = conversation_id and c.user_id = (select public.sonora_user_id())
    ));
