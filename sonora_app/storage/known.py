"""What is known about people, read from the journal and from Supabase as if they were one store."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Memory, utc_now
from sonora_app.storage.similar_words import most_alike
from sonora_app.storage.store import Known, Recall
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError

_NEVER = datetime.min.replace(tzinfo=UTC)


async def read_known(
    journal: Journal | None,
    api: SupabaseApi | None,
    user_id: str,
    recall: Recall,
    *,
    on_partial: Callable[[SupabaseError], None],
) -> Known:
    """What either store remembers of a person.

    Args:
        journal: The journal, if there is one.
        api: The Supabase project, if there is one.
        user_id: Whom.
        recall: What is wanted.
        on_partial: Told why Supabase could not be read, where the journal's own is given instead.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and there is no journal, or
            all is wanted.
    """
    here = await journal.known(user_id, recall) if journal else Known()
    if api is None:
        return here
    try:
        there = await api.known(user_id, recall)
    except SupabaseError as error:
        if journal is None or recall.whole:
            raise
        on_partial(error)
        return here
    return joined_known(here, there, recall)


def joined_known(here: Known, there: Known, recall: Recall) -> Known:
    """What the journal and Supabase remember together.

    Supabase counts, where the person may have corrected or deleted something; of what the journal
    has, only what has not got there yet.
    """
    now = utc_now()
    by_id: dict[UUID, Memory] = {m.id: m for m in here.memories if m.id in here.unshipped}
    for memory in there.memories:
        if recall.past or memory.id not in here.ended:
            by_id.setdefault(memory.id, memory)
    memories = [m for m in by_id.values() if recall.past or m.holds(now)]
    memories.sort(key=lambda memory: (memory.created_at, memory.id), reverse=True)
    if recall.words:
        memories = list(most_alike(memories, recall.words, len(memories)))
    latest = max(here, there, key=lambda known: known.chosen_at or _NEVER)
    return Known(
        memories=tuple(memories[: recall.limit]),
        more=here.more or there.more or len(memories) > recall.limit,
        remembers=latest.remembers,
        chosen_at=latest.chosen_at,
        shared=there.shared,
        unshipped=here.unshipped,
        ended=here.ended,
    )
