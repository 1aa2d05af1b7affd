-- The sounds of a word are made once for each new word, and not once for each of its pieces. Replaces the
-- function of the migration of misheard words. Safe to apply again.
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
