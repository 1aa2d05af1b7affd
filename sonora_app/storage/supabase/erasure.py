"""Deletes whole conversations from Supabase for good."""

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sonora_app.storage.supabase.api import SupabaseApi, SupabaseRequest
from sonora_app.storage.supabase.errors import garbled

if TYPE_CHECKING:
    from supabase import AsyncClient

_ROWS = 1_000
"""Rows per answer, of which only the ids of conversations are wanted."""


async def quiet(
    api: SupabaseApi, before: datetime, *, after: UUID | None, limit: int
) -> tuple[UUID, ...]:
    """Conversations that may have been quiet since before `before`, in the order of their ids.

    Of one from before our schema the table does not say when it was last talked in; `in_use` does.

    Args:
        api: The project.
        before: Since when nothing was said in them.
        after: The id to go on from; None begins.
        limit: How many at most.

    Raises:
        SupabaseError: They cannot be read.
    """

    def request(client: "AsyncClient") -> SupabaseRequest:
        moment = _moment(before)
        query = client.table("conversations").select("id").lt("created_at", moment)
        query = query.or_(f'last_message_at.is.null,last_message_at.lt."{moment}"')
        if after is not None:
            query = query.gt("id", str(after))
        return query.order("id").limit(limit)

    return tuple(UUID(row["id"]) for row in await api.rows(request))


async def in_use(
    api: SupabaseApi,
    conversation_ids: Collection[UUID],
    *,
    since: datetime | None,
    calls_since: datetime,
) -> Set[UUID]:
    """Those with a message since `since`, or with a call that may still go on.

    Args:
        api: The project.
        conversation_ids: Which to look at.
        since: Talked in since when; None looks only for calls.
        calls_since: A call that began before this and has no end goes on no more: its machine
            is gone.

    Raises:
        SupabaseError: They cannot be read.
    """

    def calls(client: "AsyncClient", ids: list[str]) -> SupabaseRequest:
        query = client.table("sessions").select("conversation_id").in_("conversation_id", ids)
        return query.is_("ended_at", "null").gte("started_at", _moment(calls_since)).limit(_ROWS)

    def talk(client: "AsyncClient", ids: list[str]) -> SupabaseRequest:
        query = client.table("messages").select("conversation_id").in_("conversation_id", ids)
        return query.gte("created_at", _moment(since or calls_since)).limit(_ROWS)

    found = await _found(api, conversation_ids, calls)
    return found | await _found(api, conversation_ids, talk) if since else found


async def erase(api: SupabaseApi, conversation_ids: Collection[UUID]) -> None:
    """Delete conversations with all that belongs to them. Those that are not there are passed over.

    Raises:
        SupabaseError: Some of it may be there still; again deletes the rest.
    """
    from postgrest.types import ReturnMethod

    ids = [str(each) for each in conversation_ids]
    # Messages first: where the older table has no foreign key, they would stay behind.
    for table, key in (("messages", "conversation_id"), ("conversations", "id")):
        await api.rows(
            lambda client, table=table, key=key: (
                client.table(table).delete(returning=ReturnMethod.minimal).in_(key, ids)
            )
        )


@dataclass(frozen=True)
class OfPerson:
    """What a project has of a person, or had.

    Parameters:
        counts: How many rows, by table. Tables with none are left out.
        conversation_ids: Their conversations.
        calls: When each of their calls began that has no end, by the id of its session.
    """

    counts: dict[str, int]
    conversation_ids: Set[UUID]
    calls: Mapping[UUID, datetime]


async def count_person(api: SupabaseApi, user_id: str) -> OfPerson:
    """What there is of a person, in one round trip.

    Raises:
        SupabaseError: It cannot be read.
    """
    return await _of_person(api, user_id, only_count=True)


async def erase_person(api: SupabaseApi, user_id: str) -> OfPerson:
    """Delete all there is of a person, all or nothing, in one round trip. Gives what it was.

    Raises:
        SupabaseError: Nothing was deleted; or all was, and the answer was lost. Again is safe.
    """
    return await _of_person(api, user_id, only_count=False)


async def _of_person(api: SupabaseApi, user_id: str, *, only_count: bool) -> OfPerson:
    rows = await api.rows(
        lambda client: client.rpc(
            "sonora_erase_person", {"user_id": user_id, "only_count": only_count}
        )
    )
    try:
        (found,) = rows
        return OfPerson(
            {table: int(number) for table, number in found["counts"].items() if number},
            {UUID(each) for each in found["conversations"]},
            {
                UUID(call["id"]): datetime.fromisoformat(call["started_at"])
                for call in found["calls"]
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise garbled() from None


async def _found(
    api: SupabaseApi,
    conversation_ids: Collection[UUID],
    request: Callable[["AsyncClient", list[str]], SupabaseRequest],
) -> Set[UUID]:
    """The conversations of which `request` finds something, however many rows each has."""
    left = {str(each) for each in conversation_ids}
    found: set[str] = set()
    while left:
        ids = sorted(left)
        rows = await api.rows(lambda client, ids=ids: request(client, ids))
        if not rows:
            break
        found |= {str(row["conversation_id"]) for row in rows}
        left -= found
    return {UUID(each) for each in found}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
