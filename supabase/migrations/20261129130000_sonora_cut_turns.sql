-- Finds words on both sides of a cut too: a turn of the user's that an answer had cut in two is kept as
-- two messages, of which the second names the first in its metadata, as `continues`. Safe to apply again.
--
-- There are few of them, and an index of those alone. Building it keeps the writers of `messages`
-- waiting, for about a second with a million messages; see supabase/README.md for how to build it
-- beforehand.
select set_config('lock_timeout', '5s', true);

create index if not exists messages_continued on public.messages ((metadata ->> 'continues'))
    where metadata ->> 'continues' is not null;

-- Turns that were cut in two, put together, each as its later part: of three parts also the last two.
create or replace function public.sonora_cut_turns()
    returns table (
        id uuid,
        conversation_id uuid,
        created_at public.messages.created_at%type,
        seq integer,
        content text
    )
    language sql stable
    set search_path = ''
    -- There are few of them, which the planner does not know.
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
    with recursive turn as (
        select l.id, l.conversation_id, l.created_at, l.seq, b.content || ' ' || l.content as content
        from public.messages l
        join public.messages b on b.id = case
            when l.metadata ->> 'continues' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                then (l.metadata ->> 'continues')::uuid
        end
        where l.metadata ->> 'continues' is not null
            and b.conversation_id = l.conversation_id
            and l.role = 'user' and b.role = 'user'
            and l.deleted_at is null and b.deleted_at is null
        union all
        select l.id, l.conversation_id, l.created_at, l.seq, t.content || ' ' || l.content
        from turn t
        join public.messages l on l.metadata ->> 'continues' = t.id::text
        where l.conversation_id = t.conversation_id and l.role = 'user' and l.deleted_at is null
            -- No part goes on with a later one.
            and (l.created_at, l.id) > (t.created_at, t.id)
    )
    select t.id, t.conversation_id, t.created_at, t.seq, t.content from turn t
    $$;
comment on function public.sonora_cut_turns() is 'A part of sonora_conversations.';
revoke all on function public.sonora_cut_turns() from public, anon, authenticated;
grant execute on function public.sonora_cut_turns() to service_role;

-- The conversations that fit `wanted`, the one talked in last first, those that nobody talked in yet
-- at the end, without those that their owner deleted:
--
--   user_id       whose; null: everybody's
--   status        how they stand; null: all
--   since, until  last talked in from when, and before when, or begun where nobody talked; null: all
--   words         folded words, each of which begins a word of one turn, cut in two or not, or of the
--                 title with the summary; null or empty: all
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
-- `hit`: {id, content} of the first message that fits the words, or else of the first turn that was cut
-- in two, by its later part; null where that is the title or the summary.
create or replace function public.sonora_conversations(
    wanted jsonb default '{}', row_limit integer default 50, row_offset integer default 0
)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    -- Compiling the query takes longer than running it, and a plan for whatever is wanted longer
    -- than one for what is.
    set jit = off
    set plan_cache_mode = force_custom_plan
    as $$
declare
    owner public.conversations.user_id%type;
    asked tsquery;
    several boolean;
    since timestamptz := wanted ->> 'since';
    until timestamptz := wanted ->> 'until';
    such jsonb := nullif(wanted -> 'call', 'null');
    begun_since timestamptz := such ->> 'since';
    begun_until timestamptz := such ->> 'until';
    found jsonb;
begin
    begin
        owner := wanted ->> 'user_id';
    exception when invalid_text_representation then
        -- Not a uuid, in a project whose users are: a user of no conversation.
        return '{"total": 0, "rows": []}';
    end;
    select string_agg(quote_literal(w) || ':*', ' & ')::tsquery, count(*) > 1 into asked, several
    from jsonb_array_elements_text(
        case when jsonb_typeof(wanted -> 'words') = 'array' then wanted -> 'words' else '[]' end
    ) as w;

    with said as materialized (
        select m.id, m.conversation_id, m.created_at, m.seq, null as turn from public.messages m
        where m.deleted_at is null and to_tsvector('simple', translate(
            lower(regexp_replace(normalize(m.content, NFKD), '[\u0300-\u036f]', '', 'g')),
            '@./-_', '     '
        )) @@ asked
        union all
        select t.id, t.conversation_id, t.created_at, t.seq, t.content from public.sonora_cut_turns() t
        -- One word alone is in one of the parts.
        where several and to_tsvector('simple', translate(
            lower(regexp_replace(normalize(t.content, NFKD), '[\u0300-\u036f]', '', 'g')),
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
                    select f.conversation_id from public.call_figures f
                    where f.ended in ('error', 'crashed')
                    union all
                    select t.conversation_id from public.tool_calls t
                    where t.status in ('failed', 'unknown')
                )
            )
            and (wanted ->> 'outcome' is null or c.metadata ->> 'outcome' = wanted ->> 'outcome')
            and (
                such is null
                or c.id in (
                    select f.conversation_id from public.call_figures f
                    where (begun_since is null or f.started_at >= begun_since)
                        and (begun_until is null or f.started_at < begun_until)
                        and (such ->> 'ended' is null or f.ended = such ->> 'ended')
                        and (such ->> 'version' is null or f.version = such ->> 'version')
                        and (such ->> 'flow' is null or f.flow = such ->> 'flow')
                        and (not coalesce((such ->> 'cut')::boolean, false) or f.turns_cut > 0)
                        and (
                            such ->> 'failure' is null
                            or coalesce(f.failures, '{}') ? (such ->> 'failure')
                            or such ->> 'failure' = 'tool' and exists (
                                select from public.tool_calls t
                                where t.session_id = f.session_id
                                    and t.status in ('failed', 'unknown')
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
                    select f.conversation_id from public.call_figures f
                    where f.worst_wait_ms >= (wanted ->> 'slow')::double precision
                )
            )
    ),
    page as (
        select f.* from fitting f
        order by f.last_message_at desc nulls last, f.created_at desc, f.id desc
        limit row_limit offset row_offset
    ),
    -- Of each of them the first that was said of the words.
    first_said as (
        select distinct on (s.conversation_id) s.conversation_id, s.id, s.turn
        from said s join page p on p.id = s.conversation_id
        order by s.conversation_id, s.turn is not null, s.created_at, s.seq nulls first
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
                    jsonb_build_object('id', h.id, 'content', coalesce(f.turn, h.content))
                end
            ) order by p.last_message_at desc nulls last, p.created_at desc, p.id desc
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

notify pgrst, 'reload schema';
