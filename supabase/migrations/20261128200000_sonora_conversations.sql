-- Lists conversations for the bot's console and commands: by who, when and how they went, and by the
-- words that were said. Safe to apply again.
--
-- Words are found in small letters without accents, by an index of each of the two tables. Building
-- the one of `messages` keeps its writers waiting, for some seconds with 400,000 messages; see
-- supabase/README.md for how to build it beforehand. The folding is written out where it is used: a
-- function in an index would have to be granted to everybody who may change a row.
select set_config('lock_timeout', '5s', true);

create index if not exists messages_said on public.messages using gin (
    to_tsvector('simple', translate(
        lower(regexp_replace(normalize(content, NFKD), '[\u0300-\u036f]', '', 'g')), '@./-_', '     '
    ))
) where deleted_at is null;

create index if not exists conversations_named on public.conversations using gin (
    to_tsvector('simple', translate(
        lower(regexp_replace(
            normalize(coalesce(title, '') || ' ' || coalesce(summary, ''), NFKD),
            '[\u0300-\u036f]', '', 'g'
        )),
        '@./-_', '     '
    ))
);

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
--   lately        since when a call may have begun that has no end and still goes on
--
-- Gives {total, rows}: how many fit, and of `row_limit` of them, after the first `row_offset`, the
-- conversation with `message_count`, `calling` (a call may go on in it) and `hit`: {id, content} of
-- the first message that fits the words; null where that is the title or the summary.
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
    as $$ select 8 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 8. Only for the service key.';

notify pgrst, 'reload schema';
