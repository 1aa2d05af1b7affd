-- How passages are judged: by the likeness of vectors that lack what all texts have in common, against
-- what is usual where there are few. Replaces the function of the migration of documents. Safe to apply
-- again.
select set_config('lock_timeout', '5s', true);

-- The passages that are likeliest to answer a question, in one round trip:
--
--   words      the keys of the question's words
--   embedding  its vector, as text, made by `model`
--   user_id    who asks: their own documents are searched, and everybody's
--   weights    how much meaning, words (bm25) and both together count, and what is usual: the `mean`
--              and the `spread` of the likeness of passages to a question, and as how many passages
--              that `counts` beside those of the project
--
-- Gives {problem, made_by, passages, similarity, terms}. A passage is judged by how far it stands out
-- from all of its language that the asker may see, as sonora_app/knowledge/candidates.py does it.
create or replace function public.sonora_find_passages(
    words text[], embedding text, model text, user_id text default null,
    row_limit integer default 3, weights jsonb default '{}'
)
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    problem text := public.sonora_documents_problem();
    made_by text;
    found jsonb;
begin
    if problem is null and not exists (
        select from public.passages p where p.ready and p.model = sonora_find_passages.model
    ) then
        select p.model into made_by from public.passages p where p.ready limit 1;
        problem := case when made_by is null then 'empty' else 'other_model' end;
    end if;
    if problem is not null then
        return jsonb_build_object('problem', problem, 'made_by', made_by, 'passages', '[]'::jsonb);
    end if;
    weights := '{"meaning": 2.3, "bm25": 0.8, "both": 1.1, "mean": 0, "spread": 0.1, "counts": 20}'::jsonb
        || weights;
    execute format(
        $query$
        with seen as materialized (
            select p.id, p.language from public.passages p
            join public.documents d on d.id = p.document_id
            where p.ready and p.model = $3 and (d.user_id is null or d.user_id = $4)
        ),
        -- Which passages hold which words, and how much a word tells: rare ones tell more.
        asked as (
            select w as word, quote_literal(w)::tsquery as anywhere,
                (quote_literal(w) || ':A')::tsquery as in_heading
            from unnest($1) as w
        ),
        holding as materialized (
            select a.word, p.id, p.keys @@ a.in_heading as in_heading
            from asked a join public.passages p on p.keys @@ a.anywhere
            join seen s on s.id = p.id
        ),
        terms as materialized (
            select a.word, count(h.id) > 0 as known,
                ln(1 + (n.seen - count(h.id) + 0.5) / (count(h.id) + 0.5))::float8
                    / case when count(h.id) > 0 then 1 else 2 end as weight
            from asked a left join holding h on h.word = a.word
            cross join (select count(*) as seen from seen) as n
            group by a.word, n.seen
        ),
        total as (
            select greatest(sum(weight), 1e-9) as weight from terms
        ),
        worded as (
            select h.id, sum(t.weight) as held,
                sum(t.weight * case when h.in_heading then 2 else 1 end) as rank
            from holding h join terms t on t.word = h.word
            group by h.id
        ),
        -- How alike a passage and the question are, against all others of its language.
        alike as (
            select v.passage_id as id,
                max(-(v.embedding operator(%1$I.<#>) $2::%1$I.vector)) as likeness
            from public.passage_vectors v join seen s on s.id = v.passage_id
            group by v.passage_id
        ),
        spread as (
            select c.language, c.share * c.mean + (1 - c.share) * u.mean as mean,
                sqrt(c.share * c.variance + (1 - c.share) * u.spread * u.spread) as spread
            from (
                select s.language, avg(a.likeness) as mean, coalesce(var_pop(a.likeness), 0) as variance,
                    count(*) / (count(*) + ($6 ->> 'counts')::float8) as share
                from alike a join seen s on s.id = a.id
                group by s.language
            ) as c
            cross join (
                select ($6 ->> 'mean')::float8 as mean, ($6 ->> 'spread')::float8 as spread
            ) as u
        ),
        standing as materialized (
            select a.id, a.likeness, (a.likeness - p.mean) / p.spread as meaning
            from alike a join seen s on s.id = a.id join spread p on p.language = s.language
        ),
        candidates as (
            (select id from standing order by meaning desc limit 40)
            union (select id from worded order by rank desc limit 40)
        ),
        best as (
            select n.id, n.words,
                ($6 ->> 'meaning')::float8 * n.meaning + ($6 ->> 'bm25')::float8 * n.rank
                    + ($6 ->> 'both')::float8 * n.meaning * n.words as score
            from (
                select c.id, s.meaning, coalesce(w.held, 0) / t.weight as words,
                    coalesce(w.rank / (select max(rank) from worded), 0) as rank
                from candidates c
                join standing s on s.id = c.id
                cross join total t
                left join worded w on w.id = c.id
            ) as n
            order by score desc, n.id
            limit $5
        )
        select jsonb_build_object(
            'problem', null,
            'similarity', (select max(likeness) from standing),
            'terms', (
                select coalesce(jsonb_agg(jsonb_build_object('weight', weight, 'known', known)), '[]')
                from terms
            ),
            'passages', (
                select coalesce(jsonb_agg(jsonb_build_object(
                    'id', p.id, 'document_id', p.document_id, 'title', d.title, 'source', d.source,
                    'headings', p.headings, 'page', p.page, 'anchor', p.anchor,
                    'content', p.content, 'seq', p.seq, 'score', b.score, 'words', b.words
                ) order by b.score desc, b.id), '[]')
                from best b join public.passages p on p.id = b.id
                join public.documents d on d.id = p.document_id
            )
        )
        $query$,
        (select e.extnamespace::regnamespace from pg_catalog.pg_extension e where e.extname = 'vector')
    ) into found using words, embedding, model, user_id, row_limit, weights;
    return found;
end
$$;

create or replace function public.sonora_schema_version()
    returns integer
    language sql immutable
    set search_path = ''
    as $$ select 7 $$;
comment on function public.sonora_schema_version() is
    'The version of Sonora''s schema: 7. Only for the service key.';

notify pgrst, 'reload schema';
