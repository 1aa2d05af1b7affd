"""What was written of a person in Supabase, by another machine perhaps."""

from collections.abc import Sequence

from sonora_app.storage.memory_changes import Wanted, news
from sonora_app.storage.records import AnyMemory, Memory
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.rows import readable, to_memory, to_memory_choice

_MOST = 100
"""How many memories are read at most."""


async def read_news(api: SupabaseApi, wanted: Wanted) -> Sequence[AnyMemory]:
    """What was written of a person. Whatever was deleted there for good is not noticed.

    Raises:
        SupabaseError: It cannot be read.
    """
    moment = wanted.since.isoformat().replace("+00:00", "Z")
    changed = ("created_at", "forgotten_at", "valid_until")
    lately = ",".join(f"{column}.gte.{moment}" for column in changed)
    memories = await _read(api, wanted.user_id, lately)
    ids = {memory.id for memory in memories}
    if instead := {m.replaced_by for m in memories if m.replaced_by and m.id in wanted.known} - ids:
        # What is corrected keeps the time at which it was said.
        memories += await _read(api, wanted.user_id, f"id.in.({','.join(map(str, instead))})")
    choices = await api.rows(
        lambda client: (
            client.table("memory_choices")
            .select("*")
            .eq("user_id", wanted.user_id)
            .gte("created_at", moment)
            .order("created_at", desc=True)
            .limit(1)
        )
    )
    return [*news(memories, wanted), *readable(choices, to_memory_choice)]


async def _read(api: SupabaseApi, user_id: str, condition: str) -> list[Memory]:
    rows = await api.rows(
        lambda client: (
            client.table("memories")
            .select("*")
            .eq("user_id", user_id)
            .or_(condition)
            .order("created_at", desc=True)
            .limit(_MOST)
        )
    )
    return readable(rows, to_memory)
