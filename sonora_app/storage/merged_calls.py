"""Which calls there are, in the journal and in Supabase as if they were one store."""

from collections.abc import Awaitable
from uuid import UUID

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.known_calls import KnownCall
from sonora_app.storage.merged_reads import OnPartial
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError
from sonora_app.storage.supabase.rows import readable

_COLUMNS = "id, conversation_id, started_at"


async def newest_calls(
    journal: Journal | None, api: SupabaseApi | None, limit: int, *, on_partial: OnPartial
) -> tuple[KnownCall, ...]:
    """The calls that began last, the newest first.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and there is no journal.
    """
    here = await journal.reports.calls(limit) if journal else ()
    there: list[KnownCall] = []
    if api is not None:
        asking = api.rows(
            lambda client: (
                client.table("sessions")
                .select(_COLUMNS)
                .order("started_at", desc=True)
                .limit(limit)
            )
        )
        there = await _read(asking, journal, on_partial)
    known = {call.id: call for call in (*here, *there)}.values()
    return tuple(sorted(known, key=lambda each: (each.started_at, each.id), reverse=True)[:limit])


async def known_call(
    journal: Journal | None, api: SupabaseApi | None, session_id: UUID, *, on_partial: OnPartial
) -> KnownCall | None:
    """The call of this id; None where there is none.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and there is no journal.
    """
    here = await journal.reports.call(session_id) if journal else None
    if here is not None or api is None:
        return here
    asking = api.rows(
        lambda client: client.table("sessions").select(_COLUMNS).eq("id", str(session_id))
    )
    there = await _read(asking, journal, on_partial)
    return there[0] if there else None


async def _read(
    asking: Awaitable[list[dict[str, object]]], journal: Journal | None, on_partial: OnPartial
) -> list[KnownCall]:
    try:
        return readable(await asking, KnownCall.model_validate)
    except SupabaseError as error:
        if journal is None:
            raise
        on_partial(error)
        return []
