-- Sonora: one fact of a person is found by its id, and forgetting one takes away what sums it up.
-- Safe to apply again.
select set_config('lock_timeout', '5s', true);

-- The rows of the older tables, whatever the types of their columns are; none where there is no
-- such table, or where it is another one. As before, and the one of an id.
drop function if exists public.sonora_older_memories(text, text[], integer);
create or replace function public.sonora_older_memories(
    user_id text, patterns text[], wanted uuid, row_limit integer
)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    found_rows jsonb := '[]';
begin
    if to_regclass('public.user_memory') is not null then
        execute $query$
            select coalesce(jsonb_agg(to_jsonb(o)), '[]') from (
                select
                    md5('user_memory ' || (m.user_id)::text || ' ' || (m.key)::text)::uuid as id,
                    (m.user_id)::text as user_id,
                    (m.key)::text || ': ' || coalesce(to_jsonb(m.value) #>> '{}', '') as content,
                    'epoch'::timestamptz as created_at,
                    '{"source": "user_memory"}'::jsonb as metadata
                from public.user_memory m
                where (m.user_id)::text = $1 and (cardinality($2) = 0 or
                    (m.key)::text || ': ' || coalesce(to_jsonb(m.value) #>> '{}', '') ilike any ($2))
                    and ($3 is null or $3 =
                        md5('user_memory ' || (m.user_id)::text || ' ' || (m.key)::text)::uuid)
                order by (m.key)::text
                limit $4
            ) as o
        $query$ into found_rows using user_id, patterns, wanted, row_limit;
    end if;
    return found_rows;
exception when undefined_column then
    return '[]';
end
$$;

comment on function public.sonora_older_memories(text, text[], uuid, integer) is
    'A part of sonora_known: the rows of the older user_memory.';

-- What is remembered of a person:
--
--   memories  the latest first
--   choice    whether they want to be remembered, as said last, or null
--   shared    notes about everybody
--
-- `recall` says what is wanted: {limit, past, shared, id, patterns}. With a limit of 0 it is
-- nothing; past: also what holds no more; id: only this one; patterns: only what is like one of
-- them.
create or replace function public.sonora_known(user_id text, recall jsonb)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    row_limit integer := coalesce((recall ->> 'limit')::integer, 0);
    past boolean := coalesce((recall ->> 'past')::boolean, false);
    patterns text[] := array(select jsonb_array_elements_text(coalesce(recall -> 'patterns', '[]')));
    wanted uuid := (recall ->> 'id')::uuid;
    memories jsonb := '[]';
    older jsonb := '[]';
begin
    if row_limit <= 0 or sonora_known.user_id is null then
        return '{"memories": [], "choice": null, "shared": []}';
    end if;
    if past then
        select coalesce(jsonb_agg(to_jsonb(f)), '[]') into memories from (
            select m.* from public.memories m
            where m.user_id = sonora_known.user_id and m.forgotten_at is null
                and (cardinality(patterns) = 0 or m.content ilike any (patterns))
                and (wanted is null or m.id = wanted)
            order by m.created_at desc, m.id desc
            limit row_limit
        ) as f;
    else
        select coalesce(jsonb_agg(to_jsonb(f)), '[]') into memories from (
            select m.* from public.memories m
            where m.user_id = sonora_known.user_id and m.forgotten_at is null
                and m.replaced_by is null and (m.valid_until is null or m.valid_until > now())
                and (cardinality(patterns) = 0 or m.content ilike any (patterns))
                and (wanted is null or m.id = wanted)
            order by m.created_at desc, m.id desc
            limit row_limit
        ) as f;
    end if;
    if jsonb_array_length(memories) < row_limit then
        older := public.sonora_older_memories(
            sonora_known.user_id, patterns, wanted, row_limit - jsonb_array_length(memories)
        );
    end if;
    return jsonb_build_object(
        'memories', memories || older,
        'choice', (
            select jsonb_build_object('remembers', c.remembers, 'created_at', c.created_at)
            from public.memory_choices c
            where c.user_id = sonora_known.user_id
            order by c.created_at desc, c.id desc
            limit 1
        ),
        'shared', case when coalesce((recall ->> 'shared')::boolean, false)
            then public.sonora_shared_memory(20) else '[]' end
    );
end
$$;
comment on function public.sonora_known(text, jsonb) is
    'What is remembered of a person. Only for the service key.';
-- The latest come from an index that has them in order, also while the planner knows nothing of
-- the table yet.
alter function public.sonora_known(text, jsonb) set enable_sort = off;

-- The title, the summary and the topics of a conversation tell what was learned in it. They go with
-- a fact of it that its owner has forgotten or deletes; with one that was corrected they stay.

create or replace function public.sonora_memory_forgotten()
    returns trigger
    language plpgsql security definer
    set search_path = ''
    as $$
begin
    update public.conversations c
    set summary = null, title = null,
        metadata = case
            when jsonb_typeof(c.metadata::jsonb) = 'object' then c.metadata::jsonb - 'topics'
            else c.metadata::jsonb
        end
    where c.id = old.conversation_id
        -- Nobody reaches another person's conversation by a fact of their own.
        and (c.user_id)::text = old.user_id;
    return null;
end
$$;
comment on function public.sonora_memory_forgotten() is
    'Takes away what sums up the conversation that a forgotten fact was learned in.';

drop trigger if exists sonora_memory_forgotten on public.memories;
create trigger sonora_memory_forgotten
    after update of forgotten_at on public.memories
    for each row
    when (old.forgotten_at is null and new.forgotten_at is not null and new.replaced_by is null)
    execute function public.sonora_memory_forgotten();
drop trigger if exists sonora_memory_deleted on public.memories;
create trigger sonora_memory_deleted
    after delete on public.memories
    for each row
    when (old.forgotten_at is null and old.replaced_by is null)
    execute function public.sonora_memory_forgotten();

revoke all on function public.sonora_older_memories(text, text[], uuid, integer),
    public.sonora_known(text, jsonb), public.sonora_memory_forgotten()
    from public, anon, authenticated;
grant execute on function public.sonora_older_memories(text, text[], uuid, integer),
    public.sonora_known(text, jsonb)
    to service_role;

create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 4 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 4. Only for the service key.';

notify pgrst, 'reload schema';
