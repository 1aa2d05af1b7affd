"""Conversations, read from the journal and from Supabase as if they were one store."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sonora_app.storage.figures import Figures, FiguresWanted, put_together
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.labels import in_both
from sonora_app.storage.listing import Listing, Listings
from sonora_app.storage.records import Message, Session, Transition
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase import figures, listings
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError
from sonora_app.storage.supabase.rows import readable, to_tool_call
from sonora_app.storage.tool_calls import ToolCall
from sonora_app.storage.wanted import Wanted

OnPartial = Callable[[SupabaseError], None]
"""Is told why Supabase could not be read, where the journal's own is given instead."""

_Row = TypeVar("_Row", Session, Message, Transition, ToolCall)


_NONE = Listings()
_ONLY_HERE = 500
"""How many conversations that only the journal has are looked at; a bot ships them in seconds."""


async def read_transcript(
    journal: Journal | None,
    api: SupabaseApi | None,
    conversation_id: UUID,
    *,
    on_partial: OnPartial,
) -> Transcript | None:
    """All that either store has of a conversation; what was deleted in Supabase stays so.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and it is not in the journal.
    """
    here = await journal.transcript(conversation_id) if journal else None
    if api is None:
        return here
    try:
        there = await api.transcript(conversation_id)
    except SupabaseError as error:
        if here is None:
            raise
        on_partial(error)
        return here
    if journal is None or here is None or there is None:
        return there or here
    only_here = await journal.unshipped(conversation_id)

    def joined(mine: Iterable[_Row], theirs: Iterable[_Row]) -> dict[UUID, _Row]:
        # What the journal has of the rest may have been deleted there since.
        return {row.id: row for row in (*(m for m in mine if m.id in only_here), *theirs)}

    return Transcript(
        conversation=there.conversation,
        sessions=tuple(
            sorted(joined(here.sessions, there.sessions).values(), key=lambda s: s.started_at)
        ),
        messages=tuple(
            sorted(
                joined(here.messages, there.messages).values(),
                key=lambda m: (m.created_at, m.seq or 0, m.id),
            )
        ),
        transitions=tuple(
            sorted(
                joined(here.transitions, there.transitions).values(),
                key=lambda t: (t.created_at, t.seq),
            )
        ),
        tool_calls=tuple(
            sorted(
                joined(here.tool_calls, there.tool_calls).values(),
                key=lambda t: (t.started_at, t.id),
            )
        ),
        labels=in_both((m for m in here.labels if m.id in only_here or m.removed_at), there.labels),
        kept_at=here.kept_at,
    )


async def read_tool_calls(
    journal: Journal,
    api: SupabaseApi,
    conversation_id: UUID,
    *,
    limit: int,
    on_partial: OnPartial,
) -> tuple[ToolCall, ...]:
    """The newest calls of tools that either store has of a conversation, oldest first.

    Raises:
        StorageError: The journal cannot be read.
    """
    here = await journal.tool_calls(conversation_id, limit=limit)
    try:
        rows = await api.rows(
            lambda client: (
                client.table("tool_calls")
                .select("*")
                .eq("conversation_id", str(conversation_id))
                .order("started_at", desc=True)
                .limit(limit)
            )
        )
    except SupabaseError as error:
        on_partial(error)
        return here
    there = readable(rows, to_tool_call)
    # Of a call that one of them knows the end of, that one is right.
    ordered = sorted((*there, *here), key=lambda each: each.ended_at is not None)
    calls = {each.id: each for each in ordered}.values()
    return tuple(sorted(calls, key=lambda each: (each.started_at, each.id))[-limit:])


async def read_listings(
    journal: Journal | None,
    api: SupabaseApi | None,
    wanted: Wanted,
    *,
    limit: int,
    offset: int = 0,
    on_partial: OnPartial,
) -> Listings:
    """The conversations of either store, the one talked in last first.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and there is no journal.
    """
    if api is None:
        return await journal.conversations(wanted, limit=limit, offset=offset) if journal else _NONE
    only_here = _NONE
    if journal is not None:
        only_here = await journal.conversations(wanted, limit=_ONLY_HERE, only_here=True)
    # So far back begins the page when all of those stand before it.
    first = max(0, offset - len(only_here))
    more = limit + len(only_here)
    try:
        there = await listings.read_listings(api, wanted, limit=more, offset=first)
    except SupabaseError as error:
        if journal is None:
            raise
        on_partial(error)
        return await journal.conversations(wanted, limit=limit, offset=offset)
    known = {each.conversation.id for each in there}
    mine = [each for each in only_here if each.conversation.id not in known]
    both = sorted((*there, *mine), key=_last_talk, reverse=True)
    # From where `there` begins, a place in `both` is `first` less than in the whole list.
    begin = offset - first
    return Listings(both[begin : begin + limit], there.total + len(mine))


async def read_figures(
    journal: Journal | None,
    api: SupabaseApi | None,
    wanted: FiguresWanted,
    *,
    on_partial: OnPartial,
) -> Figures:
    """The figures of many calls: Supabase's where it is the store, some seconds behind the journal.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and there is no journal.
    """
    if api is not None:
        try:
            return await figures.read_figures(api, wanted)
        except SupabaseError as error:
            if journal is None:
                raise
            on_partial(error)
    return await journal.figures(wanted) if journal else put_together((), (), ())


def _last_talk(listing: Listing) -> tuple[bool, datetime, datetime, UUID]:
    # Those that nobody has talked in yet come last.
    conversation = listing.conversation
    last, begun = conversation.last_message_at, conversation.created_at
    return last is not None, last or begun, begun, conversation.id
