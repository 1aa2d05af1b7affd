"""Reads a list of conversations from Supabase."""

from typing import Any, cast
from uuid import UUID

from sonora_app.storage.labels import as_name
from sonora_app.storage.listing import Hit, Listing, Listings
from sonora_app.storage.records import Conversation, utc_now
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import garbled
from sonora_app.storage.supabase.rows import readable, rows_in, to_conversation
from sonora_app.storage.wanted import (
    ANY_CALL,
    LONGEST_CALL,
    SLOW_MS,
    Wanted,
    WantedCall,
    excerpt,
)


async def read_listings(
    api: SupabaseApi, wanted: Wanted, *, limit: int, offset: int = 0
) -> Listings:
    """What `Store.conversations` gives, without those that their owner deleted, in one request.

    Raises:
        SupabaseError: They cannot be read.
    """
    if wanted.in_vain:
        return Listings()
    asked = {
        "user_id": wanted.user_id,
        "status": wanted.status,
        "since": wanted.since and wanted.since.isoformat(),
        "until": wanted.until and wanted.until.isoformat(),
        "words": list(wanted.words),
        "failed": wanted.failed,
        "slow": SLOW_MS if wanted.slow else None,
        "outcome": wanted.outcome,
        "call": _call(wanted.call) if wanted.call != ANY_CALL else None,
        "label": as_name(wanted.label) or None,
        "lately": (utc_now() - LONGEST_CALL).isoformat(),
    }
    values: dict[str, object] = {"wanted": asked, "row_limit": limit, "row_offset": offset}
    answer = await api.call("sonora_conversations", values)
    try:
        parts = cast(dict[str, Any], answer)
        rows = rows_in(parts["rows"])
        by_id = {str(row["id"]): row for row in rows}
        return Listings(
            (
                _listing(conversation, by_id[str(conversation.id)], wanted)
                for conversation in readable(rows, to_conversation)
            ),
            int(parts["total"]),
        )
    except (ValueError, KeyError, TypeError):
        raise garbled() from None


def _call(call: WantedCall) -> dict[str, object]:
    return {
        "since": call.since and call.since.isoformat(),
        "until": call.until and call.until.isoformat(),
        "ended": call.ended,
        "cut": call.cut,
        "failure": call.failure,
        "version": call.version,
        "flow": call.flow,
    }


def _listing(conversation: Conversation, row: dict[str, Any], wanted: Wanted) -> Listing:
    return Listing(
        conversation,
        int(row["message_count"]),
        calling=row["calling"] is True,
        hit=_hit(conversation, row["hit"], wanted) if wanted.words else None,
        labels=tuple(map(str, row["labels"])),
    )


def _hit(conversation: Conversation, found: dict[str, Any] | None, wanted: Wanted) -> Hit:
    if found is None:
        named = " · ".join(filter(None, (conversation.title, conversation.summary)))
        return Hit(None, excerpt(named, wanted.words))
    return Hit(UUID(found["id"]), excerpt(found["content"], wanted.words))
