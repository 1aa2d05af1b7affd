-- Adds up many calls for the bot's console and commands. What is added up is taken out of each call's
-- metrics once, and groups have text for a key, which takes less time. Safe to apply again.

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
    days boolean := coalesce(together, 'day') not in ('version', 'flow');
    found jsonb;
begin
    -- What is added up is taken out of each call's metrics once.
    with call as materialized (
        select s.id, s.end_reason, m.turns_answered, m.prompt_tokens, m.summary_prompt_tokens,
            m.completion_tokens, m.summary_completion_tokens, m.turns_cut, m.early_answers,
            m.early_answers_withdrawn, m.waits_ms, nullif(m.failures, '{}') as failures,
            m.cost ->> 'currency' as currency,
            (m.cost ->> 'known')::float8 as known_cost, m.cost ->> 'total' as total_cost,
            case together
                when 'version' then s.app_version
                when 'flow' then m.flow_version
                else floor((extract(epoch from s.started_at) + ahead) / 86400)::integer::text
            end as key
        from public.sessions s
            join public.conversations c on c.id = s.conversation_id
            cross join jsonb_to_record(s.metrics) as m(
                turns_answered integer, prompt_tokens bigint, summary_prompt_tokens bigint,
                completion_tokens bigint, summary_completion_tokens bigint, cost jsonb,
                turns_cut integer, early_answers integer, early_answers_withdrawn integer,
                waits_ms integer[], failures jsonb, flow_version text
            )
        where c.deleted_at is null
            and (since is null or s.started_at >= since)
            and (until is null or s.started_at < until)
    ),
    sums as (
        select f.key, f.end_reason, f.currency, count(*) as calls,
            coalesce(sum(f.turns_answered), 0) as answers,
            coalesce(sum(f.prompt_tokens), 0) + coalesce(sum(f.summary_prompt_tokens), 0)
                as prompt_tokens,
            coalesce(sum(f.completion_tokens), 0) + coalesce(sum(f.summary_completion_tokens), 0)
                as completion_tokens,
            coalesce(sum(f.known_cost), 0) as cost,
            count(f.total_cost) as cost_known,
            coalesce(sum(f.turns_cut), 0) as turns_cut,
            coalesce(sum(f.early_answers), 0) as early_answers,
            coalesce(sum(f.early_answers_withdrawn), 0) as withdrawn
        from call f
        group by f.key, f.end_reason, f.currency
    ),
    waits as (
        select call.key, wait / bucket as step, count(*) as times
        from call, unnest(call.waits_ms) as wait
        group by 1, 2
    ),
    failures as (
        select call.key, f.key as what, sum(f.value::integer) as times
        from call, jsonb_each_text(call.failures) as f
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
                case when days then to_jsonb(s.key::integer) else to_jsonb(s.key) end, s.end_reason, s.currency, s.calls, s.answers, s.prompt_tokens,
                s.completion_tokens, s.cost, s.cost_known, s.turns_cut, s.early_answers, s.withdrawn
            )), '[]') from sums s
        ),
        'waits', (
            select coalesce(jsonb_agg(jsonb_build_array(
                case when days then to_jsonb(w.key::integer) else to_jsonb(w.key) end, w.step, w.times
            )), '[]') from waits w
        ),
        'failures', (
            select coalesce(jsonb_agg(jsonb_build_array(
                case when days then to_jsonb(f.key::integer) else to_jsonb(f.key) end, f.what, f.times
            )), '[]')
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

create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 9 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 9. Only for the service key.';

notify pgrst, 'reload schema';
