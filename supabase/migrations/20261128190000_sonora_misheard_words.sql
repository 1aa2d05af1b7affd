-- Words that were misheard: `passage_sounds` has how the words of the documents sound, in pieces of three
-- letters, and a search finds those that sound like a word of the question. Replaces the function of the
-- migration of how passages are judged. A project whose `documents` or `passages` is another table gets
-- no table. Safe to apply again.
select set_config('lock_timeout', '5s', true);

-- How a word sounds to a Spanish speaker, roughly; as sonora_app/knowledge/words.py has it.
create or replace function public.sonora_sound(word text)
    returns text
    language plpgsql immutable
    set search_path = ''
    as $$
declare
    sound text := word;
    letters text[];
begin
    foreach letters slice 1 in array array[
        ['ph', 'f'], ['sh', 's'], ['ch', 'x'], ['qu', 'k'], ['gue', 'ge'], ['gui', 'gi'],
        ['ce', 'se'], ['ci', 'si'], ['ck', 'k'], ['c', 'k'], ['z', 's'], ['v', 'b'], ['w', 'u'],
        ['h', ''], ['ll', 'y'], ['y', 'i'], ['ee', 'i'], ['oo', 'u'], ['j', 'g'], ['q', 'k']
    ] loop
        sound := replace(sound, letters[1], letters[2]);
    end loop;
    return regexp_replace(sound, '(.)\1', '\1', 'g');
end
$$;
comment on function public.sonora_sound(text) is
    'How a word sounds. Only for the service key.';

-- The pieces of three letters of how a word sounds, with its edges.
create or replace function public.sonora_sound_pieces(word text)
    returns text[]
    language sql immutable
    set search_path = ''
    as $$
        select array_agg(distinct substr(padded, place, 3))
        from (select '  ' || public.sonora_sound(word) || ' ' as padded) as s,
            generate_series(1, length(padded) - 2) as place
    $$;
comment on function public.sonora_sound_pieces(text) is
    'The pieces of three letters of how a word sounds. Only for the service key.';

-- Notes how words of new passages sound.
create or replace function public.sonora_passages_heard()
    returns trigger
    language plpgsql
    set search_path = ''
    as $$
begin
    insert into public.passage_sounds (piece, word, pieces)
    with fresh as materialized (
        select k.word
        from (select distinct unnest(tsvector_to_array(n.keys)) as word from new_passages n) as k
        where length(k.word) > 2 and k.word !~ '^[0-9]+$'
            and not exists (select from public.passage_sounds s where s.word = k.word)
    ),
    sounding as materialized (
        select f.word, public.sonora_sound_pieces(f.word) as pieces from fresh f
    )
    select piece, w.word, cardinality(w.pieces)
    from sounding w cross join unnest(w.pieces) as piece
    order by w.word, piece
    on conflict do nothing;
    return null;
end
$$;
comment on function public.sonora_passages_heard() is 'Keeps passage_sounds.';

-- Forgets words that no passage has any more: they may be somebody's who was erased.
create or replace function public.sonora_passages_unheard()
    returns trigger
    language plpgsql
    set search_path = ''
    as $$
begin
    delete from public.passage_sounds s
    using (select distinct unnest(tsvector_to_array(o.keys)) as word from old_passages o) as w
    where s.word = w.word and not exists (
        select from public.passages p where p.keys @@ quote_literal(w.word)::tsquery
    );
    return null;
end
$$;
comment on function public.sonora_passages_unheard() is 'Keeps passage_sounds.';

do $$
begin
    if public.sonora_documents_problem() = 'no_tables' then
        return;
    end if;
    create table if not exists public.passage_sounds (
        piece text not null,
        word text not null,
        pieces smallint not null,
        primary key (piece, word)
    );
    create index if not exists passage_sounds_of_word on public.passage_sounds (word);
    comment on table public.passage_sounds is
        'How the words of documents sound, by which misheard ones are found. Only for the service key.';
    comment on column public.passage_sounds.piece is 'Three letters of how the word sounds.';
    comment on column public.passage_sounds.word is 'The key of the word, as in `passages.keys`.';
    comment on column public.passage_sounds.pieces is 'How many pieces the word has.';
    alter table public.passage_sounds enable row level security;
    revoke all on table public.passage_sounds from public, anon, authenticated;
    grant all on table public.passage_sounds to service_role;

    create or replace trigger sonora_passages_heard
        after insert on public.passages
        referencing new table as new_passages
        for each statement execute function public.sonora_passages_heard();
    create or replace trigger sonora_passages_heard_anew
        after update on public.passages
        referencing new table as new_passages
        for each statement execute function public.sonora_passages_heard();
    create or replace trigger sonora_passages_unheard
        after delete on public.passages
        referencing old table as old_passages
        for each statement execute function public.sonora_passages_unheard();

    -- Of what was pushed before.
    insert into public.passage_sounds (piece, word, pieces)
    select piece, w.word, cardinality(w.pieces)
    from (
        select k.word, public.sonora_sound_pieces(k.word) as pieces
        from (select distinct unnest(tsvector_to_array(p.keys)) as word from public.passages p) as k
        where length(k.word) > 2 and k.word !~ '^[0-9]+$'
            and not exists (select from public.passage_sounds s where s.word = k.word)
    ) as w
    cross join unnest(w.pieces) as piece
    on conflict do nothing;
end
$$;

-- The words of documents that sound like `asked`, the likest first, four at most. Words of three letters
-- are alike by chance, so of those only what sounds the same.
create or replace function public.sonora_words_like(asked text)
    returns table (word text, likeness float8)
    language plpgsql stable
    set search_path = ''
    as $$
declare
    sought text[] := public.sonora_sound_pieces(asked);
    enough float8 := case when length(asked) > 3 then 0.5 else 1 end;
begin
    if length(asked) > 2 and asked !~ '^[0-9]+$' then
        return query
            select l.word, l.likeness
            from (
                select s.word, 2.0::float8 * count(*) / (s.pieces + cardinality(sought)) as likeness
                from public.passage_sounds s
                where s.piece = any (sought) and s.word <> asked
                group by s.word, s.pieces
            ) as l
            where l.likeness >= enough
            order by l.likeness desc, l.word
            limit 4;
    end if;
end
$$;
comment on function public.sonora_words_like(text) is
    'The words of documents that sound like one. Only for the service key.';

revoke all on function public.sonora_sound(text), public.sonora_sound_pieces(text),
    public.sonora_passages_heard(), public.sonora_passages_unheard(),
    public.sonora_words_like(text)
    from public, anon, authenticated;
grant execute on function public.sonora_sound(text), public.sonora_sound_pieces(text),
    public.sonora_passages_heard(), public.sonora_passages_unheard(),
    public.sonora_words_like(text)
    to service_role;

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
-- from all of its language that the asker may see, as sonora_app/knowledge/candidates.py does it. A passage
-- whose words only sound like those of the question has them for bm25, and not for both together.
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
        -- Which passages hold which words, or such as sound like them, and how much a word tells: rare
        -- ones tell more.
        asked as materialized (
            select distinct w as word from unnest($1) as w
        ),
        heard as materialized (
            select a.word as asked, l.word, l.place
            from asked a cross join lateral (
                select w.word, row_number() over (order by w.likeness desc, w.word) as place
                from public.sonora_words_like(a.word) as w
            ) as l
        ),
        sought as (
            select w.word, quote_literal(w.word)::tsquery as anywhere,
                (quote_literal(w.word) || ':A')::tsquery as in_heading
            from (select word from asked union select word from heard where place <= 2) as w
        ),
        holding as materialized (
            select w.word, p.id, p.keys @@ w.in_heading as in_heading
            from sought w join public.passages p on p.keys @@ w.anywhere
            join seen s on s.id = p.id
        ),
        rareness as materialized (
            select w.word, count(h.id) > 0 as known,
                ln(1 + (n.seen - count(h.id) + 0.5) / (count(h.id) + 0.5))::float8 as weight
            from sought w left join holding h on h.word = w.word
            cross join (select count(*) as seen from seen) as n
            group by w.word, n.seen
        ),
        terms as materialized (
            select a.word, r.known,
                case when r.known then r.weight else coalesce(l.weight, r.weight / 2) end as weight
            from asked a join rareness r on r.word = a.word
            left join heard h on h.asked = a.word and h.place = 1
            left join rareness l on l.word = h.word and l.known
        ),
        total as (
            select greatest(sum(weight), 1e-9) as weight from terms
        ),
        worded as (
            select h.id, coalesce(sum(t.weight), 0) as held,
                sum(r.weight * case when h.in_heading then 2 else 1 end) as rank
            from holding h join rareness r on r.word = h.word
            left join terms t on t.word = h.word
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

notify pgrst, 'reload schema';
