-- Keeps the figures of each call in a row of its own, `call_figures`, so that many calls are added up
-- and found by how they went, without reading the metrics of each. Safe to apply again.
--
-- The first time, the rows of the calls that are there are made of their metrics. Whoever writes a
-- call waits meanwhile, for about a second with 20,000 calls.
select set_config('lock_timeout', '5s', true);

create table if not exists public.call_figures (
    session_id uuid primary key references public.sessions (id) on delete cascade,
    conversation_id uuid not null,
    started_at timestamptz not null,
    version text not null,
    flow text,
    ended text,
    answers integer not null,
    waits_ms integer[] not null,
    worst_wait_ms double precision,
    turns_cut integer not null,
    early_answers integer not null,
    early_answers_withdrawn integer not null,
    failures jsonb,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    currency text,
    cost double precision not null,
    cost_known boolean not null
);

comment on table public.call_figures is
    'What is added up of a call. Triggers make it of the row in sessions, and it goes with that.';
comment on column public.call_figures.session_id is 'The call.';
comment on column public.call_figures.conversation_id is 'The conversation it belongs to.';
comment on column public.call_figures.started_at is 'When it began.';
comment on column public.call_figures.version is 'The version of Sonora that held it.';
comment on column public.call_figures.flow is 'The version of the flow; null: not known.';
comment on column public.call_figures.ended is 'How it ended; null: it has no end yet.';
comment on column public.call_figures.answers is 'How many answers were heard.';
comment on column public.call_figures.waits_ms is 'How long each of them took.';
comment on column public.call_figures.worst_wait_ms is 'How long the longest took; null: not measured.';
comment on column public.call_figures.turns_cut is 'Turns taken to be over, though the user went on.';
comment on column public.call_figures.early_answers is 'Answers begun before a turn was over.';
comment on column public.call_figures.early_answers_withdrawn is 'How many of those were for nothing.';
comment on column public.call_figures.failures is 'What failed, how often; null: nothing.';
comment on column public.call_figures.prompt_tokens is 'Those of all requests to the model.';
comment on column public.call_figures.completion_tokens is 'Those of its answers.';
comment on column public.call_figures.currency is 'That of the cost; null: not known.';
comment on column public.call_figures.cost is 'What is known of what it cost.';
comment on column public.call_figures.cost_known is 'Whether that is all of it.';

-- Nobody's but the service key's, like the metrics they are made of.
alter table public.call_figures enable row level security;
revoke all on table public.call_figures from public, anon, authenticated;
grant all on table public.call_figures to service_role;

create index if not exists tool_calls_failed
    on public.tool_calls (session_id, conversation_id) where status in ('failed', 'unknown');

-- What is added up of a call, as its metrics have it. What should be a number there and is none counts
-- as nothing: a call is written whatever its metrics hold.
create or replace function public.sonora_figures_of(call public.sessions)
    returns public.call_figures
    language plpgsql stable
    set search_path = ''
    as $$
declare
    m jsonb := call.metrics;
    f public.call_figures;
begin
    f.session_id := call.id;
    f.conversation_id := call.conversation_id;
    f.started_at := call.started_at;
    f.version := call.app_version;
    f.flow := m ->> 'flow_version';
    f.ended := call.end_reason;
    f.answers := coalesce(jsonb_path_query_first(m, '$.turns_answered ? (@ > 0)')::integer, 0);
    f.waits_ms := array(
        select w.ms::integer from jsonb_path_query(m, '$.waits_ms[*] ? (@ >= 0)') as w (ms)
    );
    f.worst_wait_ms :=
        jsonb_path_query_first(m, '$.latency_ms.worst ? (@ >= 0)')::double precision;
    f.turns_cut := coalesce(jsonb_path_query_first(m, '$.turns_cut ? (@ > 0)')::integer, 0);
    f.early_answers := coalesce(jsonb_path_query_first(m, '$.early_answers ? (@ > 0)')::integer, 0);
    f.early_answers_withdrawn :=
        coalesce(jsonb_path_query_first(m, '$.early_answers_withdrawn ? (@ > 0)')::integer, 0);
    f.failures :=
        nullif(jsonb_path_query_first(m, '$.failures ? (@.type() == "object")'), '{}');
    f.prompt_tokens := coalesce(jsonb_path_query_first(m, '$.prompt_tokens ? (@ > 0)')::bigint, 0)
        + coalesce(jsonb_path_query_first(m, '$.summary_prompt_tokens ? (@ > 0)')::bigint, 0);
    f.completion_tokens :=
        coalesce(jsonb_path_query_first(m, '$.completion_tokens ? (@ > 0)')::bigint, 0)
        + coalesce(jsonb_path_query_first(m, '$.summary_completion_tokens ? (@ > 0)')::bigint, 0);
    f.currency := m #>> '{cost,currency}';
    f.cost := coalesce(jsonb_path_query_first(m, '$.cost.known ? (@ > 0)')::double precision, 0);
    f.cost_known := m #>> '{cost,total}' is not null;
    return f;
end
$$;
comment on function public.sonora_figures_of(public.sessions) is
    'What is added up of a call, as its metrics have it.';

create or replace function public.sonora_call_written()
    returns trigger
    language plpgsql
    set search_path = ''
    as $$
declare
    figures public.call_figures := public.sonora_figures_of(new);
begin
    delete from public.call_figures f where f.session_id = new.id;
    insert into public.call_figures values (figures.*);
    return null;
end
$$;
comment on function public.sonora_call_written() is 'Keeps call_figures.';

revoke all on function public.sonora_figures_of(public.sessions) from public, anon, authenticated;
revoke all on function public.sonora_call_written() from public, anon, authenticated;
grant execute on function public.sonora_figures_of(public.sessions) to service_role;

create or replace trigger sonora_call_written
    after insert or update on public.sessions
    for each row execute function public.sonora_call_written();

-- Those that were there before the trigger.
insert into public.call_figures
select f.* from public.sessions s cross join public.sonora_figures_of(s) as f
where not exists (select from public.call_figures k where k.session_id = s.id);

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
    -- Compiling the query takes longer than running it, and a plan for whatever is wanted longer
    -- than one for what is.
    set jit = off
    set plan_cache_mode = force_custom_plan
    as $$
declare
    since timestamptz := wanted ->> 'since';
    until timestamptz := wanted ->> 'until';
    ahead integer := coalesce((wanted ->> 'zone')::integer, 0) * 60;
    bucket integer := coalesce((wanted ->> 'bucket')::integer, 20);
    together text := wanted ->> 'by';
    found jsonb;
begin
    with call as not materialized (
        select c.*,
            -- A group has one of the two for a key.
            case when coalesce(together, 'day') not in ('version', 'flow') then
                floor((date_part('epoch', c.started_at) + ahead) / 86400)::integer
            end as day,
            case together when 'version' then c.version when 'flow' then c.flow end as name
        from public.call_figures c
        where (since is null or c.started_at >= since)
            and (until is null or c.started_at < until)
            and c.conversation_id not in (
                select d.id from public.conversations d where d.deleted_at is not null
            )
    ),
    sums as (
        select c.day, c.name, c.ended, c.currency, count(*) as calls, sum(c.answers) as answers,
            sum(c.prompt_tokens) as prompt_tokens, sum(c.completion_tokens) as completion_tokens,
            sum(c.cost) as cost, count(*) filter (where c.cost_known) as cost_known,
            sum(c.turns_cut) as turns_cut, sum(c.early_answers) as early_answers,
            sum(c.early_answers_withdrawn) as withdrawn
        from call c
        group by c.day, c.name, c.ended, c.currency
    ),
    waits as (
        select w.day, w.name, w.wait / bucket as step, count(*) as times
        from (select c.day, c.name, unnest(c.waits_ms) as wait from call c) as w
        group by w.day, w.name, w.wait / bucket
    ),
    failures as (
        select c.day, c.name, f.key as what, sum(f.value::integer) as times
        from call c cross join jsonb_each_text(c.failures) as f
        where c.failures is not null
        group by c.day, c.name, f.key
        union all
        select c.day, c.name, 'tool', count(*)
        from public.tool_calls t join call c on c.session_id = t.session_id
        where t.status in ('failed', 'unknown')
        group by c.day, c.name
    )
    select jsonb_build_object(
        'sums', (
            select coalesce(jsonb_agg(jsonb_build_array(
                coalesce(to_jsonb(s.day), to_jsonb(s.name)), s.ended, s.currency, s.calls, s.answers,
                s.prompt_tokens, s.completion_tokens, s.cost, s.cost_known, s.turns_cut,
                s.early_answers, s.withdrawn
            )), '[]') from sums s
        ),
        'waits', (
            select coalesce(jsonb_agg(jsonb_build_array(
                coalesce(to_jsonb(w.day), to_jsonb(w.name)), w.step, w.times
            )), '[]') from waits w
        ),
        'failures', (
            select coalesce(jsonb_agg(jsonb_build_array(
                coalesce(to_jsonb(f.day), to_jsonb(f.name)), f.what, f.times
            )), '[]') from failures f
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
    -- Compiling the query takes longer than running it, and a plan for whatever is wanted longer
    -- than one for what is.
    set jit = off
    set plan_cache_mode = force_custom_plan
    as $$
declare
    owner public.conversations.user_id%type;
    asked tsquery;
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
