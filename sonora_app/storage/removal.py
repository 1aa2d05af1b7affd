"""Removes conversations from every store: one by its id, or those older than a limit.

A conversation is removed with the files that were sent in it, and from Supabase first. If that
fails, it stays in the journal too, so that a conversation is never half removed without notice.
While a part of it is on its way to Supabase, nothing is removed.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from sonora_app.errors import StorageError
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.orphaned_files import remove_orphans
from sonora_app.storage.records import utc_now
from sonora_app.storage.store import Found
from sonora_app.storage.supabase import erasure as supabase_erasure
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket
from sonora_app.storage.supabase.errors import SupabaseError
from sonora_app.storage.supabase.unnamed_files import remove_unnamed
from sonora_app.wording.translation import worded

_BATCH = 50
"""Conversations removed at a time; writers wait for it."""
_LOOK_SECS = 0.1
_PATIENCE_SECS = 10.0
"""How long to wait for a bot to ship what waits."""


class _Quiet(Protocol):
    """The `quiet` of a store."""

    async def __call__(
        self, before: datetime, *, after: UUID | None, limit: int
    ) -> tuple[UUID, ...]: ...


@dataclass(frozen=True)
class Stores:
    """The stores of this installation; at least one.

    Parameters:
        journal: The journal, opened to write; None where there is none yet.
        api: The Supabase project; None where there is none.
        longest_call: The longest that a call can last.
    """

    journal: Journal | None
    api: SupabaseApi | None
    longest_call: timedelta


async def count_messages(stores: Stores, conversation_id: UUID) -> int | None:
    """How many messages a conversation has; None where no store has it.

    Raises:
        StorageError: A store cannot be read.
    """
    found: list[Found] = []
    if stores.journal:
        found.append(await stores.journal.look_up(conversation_id, "", message_limit=0))
    if stores.api:
        found.append(await stores.api.look_up(conversation_id, None, message_limit=0))
    openings = [one.opening for one in found if one.opening is not None]
    return max((opening.older_messages for opening in openings), default=None)


async def delete(stores: Stores, conversation_id: UUID) -> None:
    """Remove a conversation from every store.

    Raises:
        StorageError: It is in use, or on its way to Supabase, or a store failed. What is in the
            journal stays unless Supabase has let go of it. Or all of it was deleted, and pieces
            may still be in the journal's file.
    """
    ids = {conversation_id}
    async with shipping_held(stores.journal) as held:
        if stores.journal and not held and stores.api:
            await _wait_until_shipped(stores.journal, ids)
        try:
            if await _in_use(stores, ids, since=None):
                raise StorageError(
                    worded("A call goes on in this conversation. Nothing was deleted."),
                    hint=worded("Try again when it has ended."),
                )
            await _remove(stores, ids, since=None)
        except SupabaseError as error:
            raise _not_deleted(error) from None
    await _leave_no_byte(stores)


async def prune(
    stores: Stores, before: datetime, *, on_removed: Callable[[int], None] = lambda count: None
) -> int:
    """Remove the conversations whose last message was before `before` from every store.

    One that a call goes on in stays, and so does one that is on its way to Supabase.

    Args:
        stores: The stores.
        before: Since when nothing was said in them.
        on_removed: Told after each batch how many are gone by then.

    Returns:
        How many conversations were removed.

    Raises:
        StorageError: A store failed. Batches before that are gone, in every store.
    """
    removed = 0
    try:
        for source in _sources(stores):
            after: UUID | None = None
            while ids := await source(before, after=after, limit=_BATCH):
                after = ids[-1]
                removed += await _prune_batch(stores, ids, before)
                on_removed(removed)
    finally:
        if removed:
            await _leave_no_byte(stores)
    return removed


async def sweep_files(stores: Stores) -> int:
    """Remove kept files that no message names. Gives how many there were.

    Raises:
        StorageError: A store failed. Some of them may be gone.
    """
    if stores.api is not None:
        return await remove_unnamed(stores.api, stores.journal)
    return 0 if stores.journal is None else await remove_orphans(stores.journal)


async def count_prunable(stores: Stores, before: datetime) -> int:
    """How many conversations `prune` would remove now, but for those that wait to be shipped.

    Raises:
        StorageError: A store cannot be read.
    """
    found: set[UUID] = set()
    for source in _sources(stores):
        after: UUID | None = None
        while ids := await source(before, after=after, limit=_BATCH):
            after = ids[-1]
            found |= set(ids) - await _in_use(stores, ids, since=before)
    return len(found)


def _sources(stores: Stores) -> list[_Quiet]:
    """What gives the conversations that have been quiet, for each store."""
    sources: list[_Quiet] = []
    if stores.api:
        sources.append(partial(supabase_erasure.quiet, stores.api))
    if stores.journal:
        sources.append(stores.journal.erasure.quiet)
    return sources


async def _prune_batch(stores: Stores, ids: Collection[UUID], before: datetime) -> int:
    async with shipping_held(stores.journal) as held:
        try:
            removable = set(ids) - await _in_use(stores, ids, since=before)
            if stores.journal and not held and stores.api:
                removable -= await stores.journal.erasure.waiting(removable)
            if removable:
                await _remove(stores, removable, since=before)
        except SupabaseError as error:
            raise _not_deleted(error) from None
        return len(removable)


def _not_deleted(error: SupabaseError) -> StorageError:
    return StorageError(
        worded("{problem} It is still on this machine, and may be there.", problem=error.message),
        hint=error.hint or worded("Run it again when Supabase can be reached."),
    )


async def _in_use(stores: Stores, ids: Collection[UUID], *, since: datetime | None) -> Set[UUID]:
    found: Set[UUID] = set()
    if stores.journal:
        found = await stores.journal.erasure.in_use(ids, since=since)
    if stores.api:
        calls_since = utc_now() - stores.longest_call
        found |= await supabase_erasure.in_use(
            stores.api, ids, since=since, calls_since=calls_since
        )
    return found


async def _remove(stores: Stores, ids: Collection[UUID], *, since: datetime | None) -> None:
    async with files_held(stores.journal):
        if stores.api:
            bucket = Bucket(stores.api)
            # Before the messages, which name them.
            await bucket.remove(await bucket.of_conversations(ids))
            await supabase_erasure.erase(stores.api, ids)
        if stores.journal:
            await stores.journal.erasure.delete(ids, since=since)
            known = await stores.journal.outbox.whereabouts(ids)
            await stores.journal.files.remove_of({each for each in ids if not known[each].is_here})


async def _leave_no_byte(stores: Stores) -> None:
    if stores.journal:
        await stores.journal.erasure.leave_no_byte()


@asynccontextmanager
async def shipping_held(journal: Journal | None) -> AsyncGenerator[bool]:
    """Keep everybody from shipping meanwhile. Gives whether it worked: a bot may be at it."""
    held = journal is not None and journal.outbox.claim()
    try:
        yield held
    finally:
        if journal is not None:
            journal.outbox.release()


@asynccontextmanager
async def files_held(journal: Journal | None) -> AsyncGenerator[None]:
    """Keep everybody from shipping kept files meanwhile."""
    if journal is None:
        yield
        return
    async with journal.files.folder.in_turn():
        yield


async def _wait_until_shipped(journal: Journal, ids: Set[UUID]) -> None:
    for _ in range(int(_PATIENCE_SECS / _LOOK_SECS)):
        if not await journal.erasure.waiting(ids):
            return
        await asyncio.sleep(_LOOK_SECS)
    raise StorageError(
        worded(
            "Something of this conversation is still on its way to Supabase. Nothing was deleted."
        ),
        hint=worded(
            "`uv run sonora sync list` shows it. Try again when it is there, or stop the bot."
        ),
    )
