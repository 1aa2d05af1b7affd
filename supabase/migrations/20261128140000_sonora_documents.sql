-- Documents that the bot answers from: `documents`, `passages` and `passage_vectors`.
--
-- `sonora knowledge push` writes them, and a call searches them in one round trip. What is compared
-- comes from Sonora: a passage's `keys` are its words in Spanish and English without accents and
-- endings, and its vectors are made by the model that the passage names.
--
-- The vectors need pgvector. A project that cannot have it gets the rest, and Sonora says what is
-- missing; apply this file again once pgvector is there. A project whose `documents` or `passages`
-- is another table keeps it as it is, and gets none of this. Safe to apply again.
select set_config('lock_timeout', '5s', true);

do $$
declare
    misfit text;
begin
    select format('public.%s.%s', needed.of_table, needed.of_column)
    into misfit
    from (values
        ('documents', 'source'), ('documents', 'version'), ('passages', 'document_id'),
        ('passages', 'keys'), ('passage_vectors', 'passage_id')
    ) as needed (of_table, of_column)
    join pg_catalog.pg_class t
        on t.relname = needed.of_table and t.relnamespace = 'public'::regnamespace
    left join pg_catalog.pg_attribute a
        on a.attrelid = t.oid and a.attname = needed.of_column and not a.attisdropped
    where a.attname is null
    limit 1;
    if misfit is not null then
        raise notice 'A table here is not the one that Sonora means: % is missing. No documents can be pushed to this project.', misfit;
        return;
    end if;

    if exists (select from pg_catalog.pg_available_extensions where name = 'vector') then
        if to_regnamespace('extensions') is not null then
            create extension if not exists vector with schema extensions;
        else
            create extension if not exists vector;
        end if;
    else
        raise notice 'pgvector is not available. No documents can be pushed to this project.';
    end if;

    create table if not exists public.documents (
        id uuid primary key,
        user_id text,
        title text not null,
        source text not null,
        hash text not null,
        language text,
        created_at timestamptz not null default now(),
        version text
    );
    create table if not exists public.passages (
        id uuid primary key,
        document_id uuid not null references public.documents (id) on delete cascade,
        seq integer not null,
        headings text[] not null default '{}',
        page integer,
        anchor text,
        content text not null,
        language text not null,
        model text not null,
        keys tsvector not null,
        version text not null,
        ready boolean not null default false
    );
    create index if not exists documents_of_user on public.documents (user_id, title);
    create index if not exists passages_of_document on public.passages (document_id, seq);
    create index if not exists passages_by_keys on public.passages using gin (keys);

    if exists (select from pg_catalog.pg_extension where extname = 'vector') then
        execute format(
            'create table if not exists public.passage_vectors (
                passage_id uuid not null references public.passages (id) on delete cascade,
                seq integer not null,
                embedding %I.vector not null,
                primary key (passage_id, seq)
            )',
            (select e.extnamespace::regnamespace from pg_catalog.pg_extension e where e.extname = 'vector')
        );
        alter table public.passage_vectors enable row level security;
        revoke all on table public.passage_vectors from public, anon, authenticated;
        grant all on table public.passage_vectors to service_role;
        comment on table public.passage_vectors is
            'What the windows of a passage mean. Only for the service key.';
        comment on column public.passage_vectors.passage_id is 'The passage.';
        comment on column public.passage_vectors.seq is 'The place of the window in it, from 1.';
        comment on column public.passage_vectors.embedding is
            'Of length 1, made by the model that the passage names.';
    end if;

    comment on table public.documents is
        'Documents that the bot answers from. Written by `sonora knowledge push`.';
    comment on column public.documents.id is 'UUIDv7, made by Sonora.';
    comment on column public.documents.user_id is 'Whose it is; null: everybody''s.';
    comment on column public.documents.title is 'What it calls itself.';
    comment on column public.documents.language is 'Such as es, where it says so.';
    comment on column public.documents.created_at is 'When it was added to Sonora as it is now.';
    comment on column public.documents.source is 'Where it came from: a file''s path, or a link.';
    comment on column public.documents.hash is 'SHA-256 of the file.';
    comment on column public.documents.version is
        'Which version of it is searched; null: none yet, it is being pushed.';
    comment on table public.passages is 'Passages of documents: a few sentences under one heading.';
    comment on column public.passages.id is 'UUIDv7, made by Sonora.';
    comment on column public.passages.document_id is 'The document it is of.';
    comment on column public.passages.seq is 'Its place in the document, from 0.';
    comment on column public.passages.headings is 'What it stands under, outermost first.';
    comment on column public.passages.page is 'Its page, from 1; null: there are no pages.';
    comment on column public.passages.anchor is 'The name by which a link reaches it.';
    comment on column public.passages.content is 'Its sentences.';
    comment on column public.passages.language is 'es or en: what it is compared with.';
    comment on column public.passages.model is 'The embedding model that made its vectors.';
    comment on column public.passages.keys is
        'Its words without accents and endings; those of its headings have the weight A.';
    comment on column public.passages.version is 'The version of the document that it belongs to.';
    comment on column public.passages.ready is 'Whether it is searched: its document is complete.';

    -- Who may do what. See the first migration.
    alter table public.documents enable row level security;
    alter table public.passages enable row level security;
    revoke all on table public.documents, public.passages from public, anon, authenticated;
    grant all on table public.documents, public.passages to service_role;
    grant select on table public.documents, public.passages to authenticated;

    drop policy if exists sonora_own_only on public.documents;
    create policy sonora_own_only on public.documents
        as restrictive for all to authenticated
        using (user_id is null or user_id = (select public.sonora_user_id())::text);
    drop policy if exists sonora_own on public.documents;
    create policy sonora_own on public.documents
        for select to authenticated
        using (user_id is null or user_id = (select public.sonora_user_id())::text);
    -- A document that is not seen has no passages that are.
    drop policy if exists sonora_own_only on public.passages;
    create policy sonora_own_only on public.passages
        as restrictive for all to authenticated
        using (exists (select from public.documents d where d.id = document_id));
    drop policy if exists sonora_own on public.passages;
    create policy sonora_own on public.passages
        for select to authenticated
        using (exists (select from public.documents d where d.id = document_id));
end
$$;

-- Why documents cannot be kept here: no_tables, no_vector; null: they can.
create or replace function public.sonora_documents_problem()
    returns text
    language sql stable
    set search_path = ''
    as $$
        select case
            when not exists (
                select from pg_catalog.pg_attribute a
                where a.attrelid = to_regclass('public.passages') and a.attname = 'keys'
            ) then 'no_tables'
            when to_regclass('public.passage_vectors') is null then 'no_vector'
        end
    $$;
comment on function public.sonora_documents_problem() is
    'Why documents cannot be kept here; null: they can.';

-- What is there: {problem, documents: [{id, user_id, title, source, version, passages}]}.
create or replace function public.sonora_documents()
    returns jsonb
    language plpgsql stable
    set search_path = ''
    as $$
declare
    problem text := public.sonora_documents_problem();
begin
    if problem = 'no_tables' then
        return jsonb_build_object('problem', problem, 'documents', '[]'::jsonb);
    end if;
    return jsonb_build_object('problem', problem, 'documents', (
        select coalesce(jsonb_agg(to_jsonb(f) order by f.title, f.source), '[]')
        from (
            select d.id, d.user_id, d.title, d.source, d.hash, d.language, d.created_at, d.version,
                (select count(*) from public.passages p where p.document_id = d.id and p.ready) as passages
            from public.documents d
        ) as f
    ));
end
$$;
comment on function public.sonora_documents() is
    'The documents of all users, and whether more can be kept. Only for the service key.';

-- Keeps passages of a document's version, and has it searched in the place of an earlier one once it
-- is complete. Again changes nothing. A document: the columns of `documents`, and how many
-- `passages` it has. A passage: its columns, `keys` as the text of a tsvector, and `vectors`, each as
-- the text of a vector.
--
-- Gives {problem, there: the ids of this version's passages that are there}.
create or replace function public.sonora_put_passages(
    document jsonb, passages jsonb default '[]', complete boolean default false
)
    returns jsonb
    language plpgsql
    set search_path = ''
    as $$
declare
    problem text := public.sonora_documents_problem();
    wanted uuid := (document ->> 'id')::uuid;
    new_version text := document ->> 'version';
    there uuid[];
begin
    if problem is not null then
        return jsonb_build_object('problem', problem, 'there', '[]'::jsonb);
    end if;
    insert into public.documents (id, user_id, title, source, hash, language, created_at)
    values (
        wanted, document ->> 'user_id', document ->> 'title', document ->> 'source',
        document ->> 'hash', document ->> 'language', (document ->> 'created_at')::timestamptz
    )
    on conflict (id) do nothing;

    insert into public.passages (
        id, document_id, seq, headings, page, anchor, content, language, model, keys, version
    )
    select r.id, wanted, r.seq, r.headings, r.page, r.anchor, r.content, r.language, r.model,
        r.keys::tsvector, new_version
    from jsonb_to_recordset(sonora_put_passages.passages) as r (
        id uuid, seq integer, headings text[], page integer, anchor text, content text,
        language text, model text, keys text
    )
    on conflict (id) do update
        set model = excluded.model, keys = excluded.keys, version = excluded.version
        where passages.document_id = wanted;
    delete from public.passage_vectors v
    using jsonb_array_elements(sonora_put_passages.passages) as r
    where v.passage_id = (r ->> 'id')::uuid;
    execute format(
        'insert into public.passage_vectors (passage_id, seq, embedding)
        select (r ->> ''id'')::uuid, v.number, v.embedding::%I.vector
        from jsonb_array_elements($1) as r,
            jsonb_array_elements_text(r -> ''vectors'') with ordinality as v (embedding, number)',
        (select e.extnamespace::regnamespace from pg_catalog.pg_extension e where e.extname = 'vector')
    ) using sonora_put_passages.passages;

    select coalesce(array_agg(p.id), '{}') into there
    from public.passages p where p.document_id = wanted and p.version = new_version;
    if complete then
        if cardinality(there) <> (document ->> 'passages')::integer then
            raise exception 'A passage is missing.' using errcode = 'data_exception';
        end if;
        delete from public.passages p where p.document_id = wanted and p.version <> new_version;
        delete from public.documents d
        where d.source = document ->> 'source' and d.id <> wanted
            and d.user_id is not distinct from document ->> 'user_id';
        update public.passages set ready = true where document_id = wanted and not ready;
        update public.documents
        set title = document ->> 'title', source = document ->> 'source',
            hash = document ->> 'hash', language = document ->> 'language',
            created_at = (document ->> 'created_at')::timestamptz, version = new_version
        where id = wanted;
    end if;
    return jsonb_build_object('problem', null, 'there', to_jsonb(there));
end
$$;
comment on function public.sonora_put_passages(jsonb, jsonb, boolean) is
    'Keeps passages of a document. Only for the service key.';

-- Removes documents by their ids, and all of one user. Gives how many there were.
create or replace function public.sonora_remove_documents(
    ids uuid[] default '{}', user_id text default null
)
    returns integer
    language plpgsql
    set search_path = ''
    as $$
declare
    removed integer;
begin
    if public.sonora_documents_problem() = 'no_tables' then
        return 0;
    end if;
    delete from public.documents d
    where d.id = any (ids) or d.user_id = sonora_remove_documents.user_id;
    get diagnostics removed = row_count;
    return removed;
end
$$;
comment on function public.sonora_remove_documents(uuid[], text) is
    'Removes documents with their passages. Only for the service key.';

-- The passages that are likeliest to answer a question, in one round trip:
--
--   words      the keys of the question's words
--   embedding  its vector, as text, made by `model`
--   user_id    who asks: their own documents are searched, and everybody's
--   weights    how much each number counts, by name; see sonora_app/knowledge/ranking.py
--
-- Gives {problem, made_by, passages, similarity, standing_out, known}. A passage is judged by how far
-- it stands out from all that the asker may see, as sonora_app/knowledge/candidates.py does it.
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
            select greatest(sum(weight), 1e-9) as weight,
                coalesce(sum(weight) filter (where known), 0) as known
            from terms
        ),
        worded as (
            select h.id, sum(t.weight) as held,
                coalesce(sum(t.weight) filter (where h.in_heading), 0) as in_heading,
                sum(t.weight * case when h.in_heading then 2 else 1 end) as rank
            from holding h join terms t on t.word = h.word
            group by h.id
        ),
        -- How alike a passage and the question are, against all others of its language.
        alike as (
            select v.passage_id as id,
                max(-(v.embedding operator(%1$I.<#>) $2::%1$I.vector)) as likeness,
                avg(-(v.embedding operator(%1$I.<#>) $2::%1$I.vector)) as mean
            from public.passage_vectors v join seen s on s.id = v.passage_id
            group by v.passage_id
        ),
        compared as (
            select a.id, a.likeness, a.mean, case when g.fewest >= 20 then s.language end as among
            from alike a join seen s on s.id = a.id
            cross join (
                select min(n) as fewest from (select count(*) as n from seen group by language) as c
            ) as g
        ),
        spread as (
            select among, avg(likeness) as likeness, avg(mean) as mean,
                greatest(coalesce(stddev_pop(likeness), 0), 0.012) as of_likeness,
                greatest(coalesce(stddev_pop(mean), 0), 0.012) as of_mean
            from compared group by among
        ),
        standing as materialized (
            select c.id, c.likeness, (c.likeness - s.likeness) / s.of_likeness as meaning,
                (c.mean - s.mean) / s.of_mean as mean_meaning
            from compared c join spread s on s.among is not distinct from c.among
        ),
        candidates as (
            (select id from standing order by meaning desc limit 40)
            union (select id from worded order by rank desc limit 40)
        ),
        numbers as (
            select c.id, s.meaning, s.mean_meaning, coalesce(w.held, 0) / t.weight as words,
                coalesce(w.in_heading, 0) / t.weight as heading_words,
                coalesce(w.rank / (select max(rank) from worded), 0) as bm25,
                least(length(p.keys) / 30.0, 1)::float8 as length
            from candidates c
            join standing s on s.id = c.id
            join public.passages p on p.id = c.id
            cross join total t
            left join worded w on w.id = c.id
        ),
        best as (
            select n.id, n.words,
                coalesce(($6 ->> 'meaning')::float8, 2) * n.meaning
                + coalesce(($6 ->> 'mean_meaning')::float8, 0) * n.mean_meaning
                + coalesce(($6 ->> 'words')::float8, 0) * n.words
                + coalesce(($6 ->> 'heading_words')::float8, 0) * n.heading_words
                + coalesce(($6 ->> 'bm25')::float8, 1.5) * n.bm25
                + coalesce(($6 ->> 'both')::float8, 1) * n.meaning * n.words
                + coalesce(($6 ->> 'length')::float8, 1) * n.length as score
            from numbers n
            order by score desc, n.id
            limit $5
        )
        select jsonb_build_object(
            'problem', null,
            'similarity', (select max(likeness) from standing),
            'standing_out', (select max(meaning) from standing),
            'known', (select known / weight from total),
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
comment on function public.sonora_find_passages(text[], text, text, text, integer, jsonb) is
    'The passages that may answer a question. Only for the service key.';

revoke all on function public.sonora_documents_problem(), public.sonora_documents(),
    public.sonora_put_passages(jsonb, jsonb, boolean),
    public.sonora_remove_documents(uuid[], text),
    public.sonora_find_passages(text[], text, text, text, integer, jsonb)
    from public, anon, authenticated;
grant execute on function public.sonora_documents_problem(), public.sonora_documents(),
    public.sonora_put_passages(jsonb, jsonb, boolean),
    public.sonora_remove_documents(uuid[], text),
    public.sonora_find_passages(text[], text, text, text, integer, jsonb)
    to service_role;
