"""Where the commands read conversations from: the journal, and Supabase where it is configured."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import typer

from sonora_app.conversation import removal
from sonora_app.conversation.database import nothing_kept
from sonora_app.conversation.journal import Journal
from sonora_app.conversation.records import Message, Session, Transition
from sonora_app.conversation.store import Listing, Transcript
from sonora_app.conversation.supabase import REQUIRED_SCHEMA, SupabaseApi
from sonora_app.conversation.supabase_errors import SupabaseError, old_schema
from sonora_app.errors import StorageError
from sonora_app.settings import Settings

_Row = TypeVar("_Row", Session, Message, Transition)


@asynccontextmanager
async def opened(
    settings: Settings, *, read_only: bool
) -> AsyncGenerator[tuple[Journal | None, SupabaseApi | None]]:
    """The journal, None where there is none yet, and the project, None where none is configured.

    Raises:
        StorageError: There is neither, or the journal cannot be opened.
        SettingsError: Supabase is set by half, or not as it can be used.
    """
    async with AsyncExitStack() as stack:
        api = None
        if settings.uses_supabase:
            api = await SupabaseApi.connect(settings)
            stack.push_async_callback(api.aclose)
        journal = None
        if settings.journal_path.is_file() or api is None:
            if not settings.journal_path.is_file():
                raise nothing_kept(settings.journal_path)
            journal = await Journal.connect(settings.journal_path, read_only=read_only)
            stack.push_async_callback(journal.aclose)
        yield journal, api


async def check_schema(api: SupabaseApi) -> None:
    """Refuse to work with a project that lacks what this version of Sonora needs.

    Raises:
        SupabaseError: It does, or does not answer.
    """
    if await api.schema_version() < REQUIRED_SCHEMA:
        raise old_schema()


@asynccontextmanager
async def removable(settings: Settings) -> AsyncGenerator[removal.Stores]:
    """The stores, opened to remove conversations from.

    Raises:
        StorageError: There is none, or one cannot be used; nothing was deleted.
        SettingsError: Supabase is set by half, or not as it can be used.
    """
    async with opened(settings, read_only=False) as (journal, api):
        if api is not None:
            try:
                await check_schema(api)
            except SupabaseError as error:
                hint = error.hint or "Run it again when Supabase can be reached."
                raise StorageError(f"{error.message} Nothing was deleted.", hint=hint) from None
        yield removal.Stores(journal, api, timedelta(seconds=settings.longest_call_secs))


async def read_transcript(
    journal: Journal | None, api: SupabaseApi | None, conversation_id: UUID
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
        _warn(error)
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
    )


async def read_listings(
    journal: Journal | None, api: SupabaseApi | None, *, user_id: str | None, limit: int
) -> tuple[Listing, ...]:
    """The conversations of either store, the one talked in last first.

    Raises:
        StorageError: The journal cannot be read, or Supabase cannot and there is no journal.
    """
    here = await journal.conversations(user_id=user_id, limit=limit) if journal else ()
    if api is None:
        return here
    try:
        there = await api.conversations(user_id=user_id, limit=limit)
    except SupabaseError as error:
        if journal is None:
            raise
        _warn(error)
        return here
    known = {listing.conversation.id for listing in there}
    only_here = [
        listing
        for listing in here
        if listing.conversation.id not in known
        and listing.conversation.id in await _unshipped(journal, listing.conversation.id)
    ]
    listings = sorted((*there, *only_here), key=_last_talk, reverse=True)
    return tuple(listings[:limit])


async def _unshipped(journal: Journal | None, conversation_id: UUID) -> frozenset[UUID]:
    return await journal.unshipped(conversation_id) if journal else frozenset()


def _last_talk(listing: Listing) -> tuple[bool, datetime]:
    # Those that nobody has talked in yet come last.
    last = listing.conversation.last_message_at
    return last is not None, last or listing.conversation.created_at


def _warn(error: SupabaseError) -> None:
    typer.echo(
        f"This is from the journal alone, and may lack what others wrote: {error.message}",
        err=True,
    )
