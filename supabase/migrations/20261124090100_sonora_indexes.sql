-- What reads whole tables: checking the rows that were there, and building indexes.
--
-- Others read all the while. Checking lets them write too; building an index of `messages` keeps
-- writers waiting: about a second for a million messages. Where that is too long, build them
-- beforehand, between the first file and this one, without keeping anyone waiting; supabase/README.md
-- says how. An index that exists under its name is left as it is.
select set_config('lock_timeout', '5s', true);

alter table public.conversations validate constraint conversations_status_check;
alter table public.messages validate constraint messages_modality_check;
alter table public.messages validate constraint messages_session_id_fkey;

-- A user's conversations, the one talked in last first:
--   order by last_message_at desc nulls last, created_at desc
create index if not exists conversations_of_user
    on public.conversations (user_id, last_message_at desc nulls last, created_at desc, id desc);

-- The history of a conversation, newest first, and page by page:
--   order by created_at desc, seq desc nulls last
-- With the deleted ones in it, so that deleting a conversation finds all of its messages.
create index if not exists messages_in_order
    on public.messages (conversation_id, created_at desc, seq desc nulls last, id desc);

-- The highest seq of a conversation. Rows of the text-chat API are not in it.
create index if not exists messages_by_seq
    on public.messages (conversation_id, seq) where seq is not null;

-- The messages of a call, which deleting a call looks for.
create index if not exists messages_of_session
    on public.messages (session_id) where session_id is not null;

create index if not exists sessions_of_conversation
    on public.sessions (conversation_id, started_at desc);

create index if not exists transitions_by_seq on public.transitions (conversation_id, seq);

create index if not exists transitions_of_session on public.transitions (session_id);
