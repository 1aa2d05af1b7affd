-- Adds up many calls for the bot's console and commands, and lists the conversations behind each figure.
-- Safe to apply again.

-- Adds up calls.
--
-- `wanted` says which calls, and how they are put together:
--
--   by            day, version (of Sonora) or flow (the version of its files)
--   since, until  begun from when, and before when; null: all
--   zone          how many minutes the clock of who asks is ahead of UTC: days are those of that clock
--   bucket        how far apart waits are that are counted as different ones, in milliseconds
--
-- Calls in conversations that their owner deleted are left out. Gives {sums, waits, failures}, each a
-- list of rows, the key of their group first: a day as its number, counted from 1970.
--
--   sums      key, end_reason, currency, calls, answers, tokens read, tokens written, cost, how many
--             cost an amount that is known whole, turns cut, early answers, those withdrawn
--   waits     key, wait in steps of `bucket`, how many
--   failures  key, what failed, how often
create or replace function public.sonora_figures(wanted jsonb default '{}')
    returns jsonb
    language plpgsql stable
    set search_path = ''
    -- Compiling the query takes longer than running it.
    set jit = off
    as $$
declare
    since timestamptz := wanted ->> 'since';
    until timestamptz := wanted ->> 'until';
    ahead integer := coalesce((wanted ->> 'zone')::integer, 0) * 60;
    bucket integer := coalesce((wanted ->> 'bucket')::integer, 20);
    together text := wanted ->> 'by';
    found jsonb;
begin
    with call as materialized (
        select s.id, s.end_reason, s.metrics,
            case together
                when 'version' then to_jsonb(s.app_version)
                when 'flow' then s.metrics -> 'flow_version'
                else to_jsonb(
                    floor((extract(epoch from s.started_at) + ahead) / 86400)::integer
                )
            end as key
        from public.sessions s join public.conversations c on c.id = s.conversation_id
        where c.deleted_at is null
            and (since is null or s.started_at >= since)
            and (until is null or s.started_at < until)
    ),
    figure as (
        select call.key, call.end_reason, m.*, m.cost ->> 'currency' as currency
        from call, jsonb_to_record(call.metrics) as m(
            turns_answered integer, prompt_tokens bigint, summary_prompt_tokens bigint,
            completion_tokens bigint, summary_completion_tokens bigint, cost jsonb,
            turns_cut integer, early_answers integer, early_answers_withdrawn integer
        )
    ),
    sums as (
        select f.key, f.end_reason, f.currency, count(*) as calls,
            coalesce(sum(f.turns_answered), 0) as answers,
            coalesce(sum(coalesce(f.prompt_tokens, 0) + coalesce(f.summary_prompt_tokens, 0)), 0)
                as prompt_tokens,
            coalesce(
                sum(coalesce(f.completion_tokens, 0) + coalesce(f.summary_completion_tokens, 0)), 0
            ) as completion_tokens,
            coalesce(sum((f.cost ->> 'known')::float8), 0) as cost,
            count(f.cost ->> 'total') as cost_known,
            coalesce(sum(f.turns_cut), 0) as turns_cut,
            coalesce(sum(f.early_answers), 0) as early_answers,
            coalesce(sum(f.early_answers_withdrawn), 0) as withdrawn
        from figure f
        group by f.key, f.end_reason, f.currency
    ),
    waits as (
        select call.key, floor(w.value::float8 / bucket)::integer as step, count(*) as times
        from call, jsonb_array_elements_text(
            case when jsonb_typeof(call.metrics -> 'waits_ms') = 'array'
                then call.metrics -> 'waits_ms' else '[]' end
        ) as w(value)
        group by 1, 2
    ),
    failures as (
        select call.key, f.key as what, sum(f.value::integer) as times
        from call, jsonb_each_text(call.metrics -> 'failures') as f
        where call.metrics -> 'failures' <> '{}'
        group by 1, 2
        union all
        select call.key, 'tool', count(*)
        from public.tool_calls t join call on call.id = t.session_id
        where t.status in ('failed', 'unknown')
        group by 1
    )
    select jsonb_build_object(
        'sums', (
            select coalesce(jsonb_agg(jsonb_build_array(
                s.key, s.end_reason, s.currency, s.calls, s.answers, s.prompt_tokens,
                s.completion_tokens, s.cost, s.cost_known, s.turns_cut, s.early_answers, s.withdrawn
            )), '[]') from sums s
        ),
        'waits', (
            select coalesce(jsonb_agg(jsonb_build_array(w.key, w.step, w.times)), '[]') from waits w
        ),
        'failures', (
            select coalesce(jsonb_agg(jsonb_build_array(f.key, f.what, f.times)), '[]')
            from failures f
        )
    ) into found;
    return found;
end
$$;
comment on function public.sonora_figures(jsonb) is
    'The figures of many calls. Only for the service key.';
revoke all on function public.sonora_figures(jsonb) from public, anon, authenticated;
grant execute on function public.sonora_figures(jsonb) to service_role;

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
    as $$ select 9 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 9. Only for the service key.';

notify pgrst, 'reload schema';
