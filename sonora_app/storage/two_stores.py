"""A store made of two: the journal, which is written first, and Supabase behind it.

A write is done when the journal has it; a shipper brings it to Supabase later. Reads come from
Supabase, because other calls and the text-chat API write there too. Records that are only in the
journal are added. If Supabase does not answer, the journal alone is read; opening a conversation
does so only where a deadline is set.

Work with Supabase runs on a thread of its own: a request takes milliseconds of processor time,
which the event loop of the calls cannot spare.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.storage import memory_changes
from sonora_app.storage.figures import Figures, FiguresWanted
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.known import joined_known, read_known
from sonora_app.storage.listing import Listings
from sonora_app.storage.merged_reads import (
    read_figures,
    read_listings,
    read_tool_calls,
    read_transcript,
)
from sonora_app.storage.positions import later_standing
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import AnyMemory, Message, Record, RecordedCall, StorageHealth
from sonora_app.storage.side_loop import SideLoop
from sonora_app.storage.store import NOTHING, Found, Known, Opening, Recall, Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket
from sonora_app.storage.supabase.errors import SupabaseError
from sonora_app.storage.supabase.file_shipper import FileShipper
from sonora_app.storage.supabase.holders import Holders
from sonora_app.storage.supabase.memory_news import read_news
from sonora_app.storage.supabase.mirrored_files import MirroredFiles
from sonora_app.storage.supabase.past import apply_past
from sonora_app.storage.supabase.shipper import Shipper
from sonora_app.storage.supabase.unshipped import UnshippedLog
from sonora_app.storage.tool_calls import ToolCall
from sonora_app.storage.wanted import EVERY, Wanted

OnStored = Callable[[Sequence[UUID]], None]
OnHealth = Callable[[StorageHealth, int], None]


class MirroredStore:
    """A `Store` whose journal is shipped to Supabase from here on.

    Args:
        journal: The journal, opened with its outbox on.
        api: The Supabase project.
        keep: How long the journal keeps calls that are stored there.
        unshipped: Where what does not get there by the end of a call is written as well.
    """

    def __init__(
        self,
        journal: Journal,
        api: SupabaseApi,
        *,
        keep: timedelta | None,
        unshipped: UnshippedLog | None = None,
    ) -> None:
        """Start to ship what is in the outbox."""
        self._journal = journal
        self._api = api
        self._unshipped = unshipped
        self._listeners: dict[object, tuple[OnStored, OnHealth]] = {}
        self._health: StorageHealth = "ok"
        self._backlog = 0
        calls = asyncio.get_running_loop()

        def stored(ids: Sequence[UUID]) -> None:
            calls.call_soon_threadsafe(self._stored, ids)

        def changed(health: StorageHealth, pending: int) -> None:
            calls.call_soon_threadsafe(self._health_changed, health, pending)

        self._shipper = Shipper(journal, api, on_stored=stored, on_health=changed, keep=keep)
        self._aside = SideLoop("sonora-supabase")
        self._shipping = asyncio.create_task(self._aside.run(self._shipper.run()))
        self._holders = Holders(api)
        self._looking = asyncio.create_task(self._aside.run(self._holders.run()))
        self._file_shipper = FileShipper(journal.files.folder, journal, api)
        self._shipping_files = asyncio.create_task(self._aside.run(self._file_shipper.run()))
        self.memory_changes, self.requests = journal.memory_changes, journal.requests
        self.memory_changes.look_behind = self._memory_news
        self.files = MirroredFiles(journal.files, Bucket(api), self._aside)
        journal.unwritten.past = self._past

    def subscribe(self, on_stored: OnStored, on_health: OnHealth) -> Callable[[], None]:
        """See `Store.subscribe`: what reaches Supabase, and how shipping goes."""
        key = object()
        self._listeners[key] = (on_stored, on_health)
        if self._health != "ok":
            on_health(self._health, self._backlog)
        return lambda: self._listeners.pop(key, None) and None

    async def settle(self, *, timeout_secs: float) -> int:
        """See `Store.settle`: in Supabase."""
        # What later calls write meanwhile has not been waited for.
        until = await self._journal.outbox.last_position()
        left, files_left = await asyncio.gather(
            self._aside.run(self._shipper.drain(timeout_secs)),
            self._aside.run(self._file_shipper.drain(timeout_secs)),
        )
        await self._log_unshipped(until)
        return left + files_left

    def recorder(
        self,
        call: RecordedCall,
        *,
        on_written: Callable[[Record], None],
        on_health: Callable[[StorageHealth, int], None],
    ) -> Recorder:
        """See `Store.recorder`: in the journal."""
        return self._journal.recorder(call, on_written=on_written, on_health=on_health)

    async def write(self, records: Sequence[Record]) -> None:
        """See `Store.write`: done when the journal has them."""
        await self._journal.write(records)

    async def look_up(
        self,
        conversation_id: UUID | None,
        user_id: str,
        *,
        message_limit: int,
        recall: Recall = NOTHING,
        deadline_secs: float | None = None,
    ) -> Found:
        """See `Store.look_up`. Past the deadline it gives what the journal has."""
        here = asyncio.create_task(
            self._journal.look_up(
                conversation_id, user_id, message_limit=message_limit, recall=recall
            )
        )
        try:
            async with asyncio.timeout(deadline_secs):
                there = await self._aside.run(
                    self._api.look_up(
                        conversation_id, user_id, message_limit=message_limit, recall=recall
                    )
                )
        except (TimeoutError, StorageError) as error:
            if deadline_secs is None:
                raise
            logger.warning(
                "A conversation is opened without what Supabase has of it: "
                f"{str(error) or f'no answer within {deadline_secs:g} s'}"
            )
            return replace(await here, complete=False)
        finally:
            await asyncio.wait([here])
        known, named = here.result().opening, there.opening
        if known and named and known.conversation.user_id != named.conversation.user_id:
            # An account became part of another, or the journal's word was never more than a claim.
            await self._journal.set_owner(named.conversation.id, named.conversation.user_id)
        found = _joined(here.result(), there, message_limit)
        return replace(found, known=joined_known(here.result().known, there.known, recall))

    async def found_by_now(
        self, found: Found, conversation_id: UUID, user_id: str, *, message_limit: int
    ) -> Found:
        """See `Store.found_by_now`: from the journal, added to what was found."""
        here = await self._journal.found_by_now(
            found, conversation_id, user_id, message_limit=message_limit
        )
        joined = _joined(here, found, message_limit)
        return replace(joined, known=found.known, complete=found.complete)

    async def claim(self, conversation_id: UUID, session_id: UUID, *, within_secs: float) -> bool:
        """See `Store.claim`. Calls on other machines learn it once it is shipped."""
        return await self._journal.claim(conversation_id, session_id, within_secs=within_secs)

    async def holder(self, conversation_id: UUID) -> UUID | None:
        """See `Store.holder`: as the journal says, or Supabase where its word is later."""
        here, there = await self._journal.holder(conversation_id), self._holders.of(conversation_id)
        return max((each for each in (here, there) if each is not None), default=None)

    async def known(self, user_id: str, recall: Recall) -> Known:
        """See `Store.known`: from both, or the journal when Supabase does not answer."""
        return await self._aside.run(
            read_known(self._journal, self._api, user_id, recall, on_partial=_warn_partial)
        )

    async def transcript(self, conversation_id: UUID) -> Transcript | None:
        """See `Store.transcript`: from both, or the journal when Supabase does not answer."""
        return await self._aside.run(
            read_transcript(self._journal, self._api, conversation_id, on_partial=_warn_partial)
        )

    async def tool_calls(self, conversation_id: UUID, *, limit: int) -> tuple[ToolCall, ...]:
        """See `Store.tool_calls`: from both, or the journal when Supabase does not answer."""
        return await self._aside.run(
            read_tool_calls(
                self._journal, self._api, conversation_id, limit=limit, on_partial=_warn_partial
            )
        )

    async def conversations(
        self, wanted: Wanted = EVERY, *, limit: int = 50, offset: int = 0
    ) -> Listings:
        """See `Store.conversations`: from both, or the journal when Supabase does not answer."""
        return await self._aside.run(
            read_listings(
                self._journal,
                self._api,
                wanted,
                limit=limit,
                offset=offset,
                on_partial=_warn_partial,
            )
        )

    async def figures(self, wanted: FiguresWanted) -> Figures:
        """See `Store.figures`: Supabase's, or the journal's when it does not answer."""
        return await self._aside.run(
            read_figures(self._journal, self._api, wanted, on_partial=_warn_partial)
        )

    async def aclose(self) -> None:
        """Stop shipping, and let go of both. What is in the outbox stays there."""
        await self._journal.finish()
        self._journal.unwritten.past = self.memory_changes.look_behind = None
        tasks = (self._shipping, self._looking, self._shipping_files)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._aside.run(self._api.aclose())
        await self._aside.aclose()
        await self._log_unshipped()
        await self._journal.aclose()

    async def _past(self, call: RecordedCall, records: Sequence[Record]) -> Sequence[bool]:
        return await self._aside.run(apply_past(self._journal.outbox, self._api, call, records))

    async def _memory_news(self, wanted: memory_changes.Wanted) -> Sequence[AnyMemory]:
        return await self._aside.run(read_news(self._api, wanted))

    async def _log_unshipped(self, until: int | None = None) -> None:
        if self._unshipped is None:
            return
        try:
            lines = await self._unshipped.write(until)
        except StorageError as error:
            logger.error(f"What could not be shipped cannot be written to the log: {error}")
        else:
            if lines:
                logger.warning(
                    f"Wrote {lines} records to the log that Supabase does not have. "
                    "`uv run sonora sync restore` brings them there."
                )

    def _stored(self, ids: Sequence[UUID]) -> None:
        for on_stored, _ in [*self._listeners.values()]:
            on_stored(ids)

    def _health_changed(self, health: StorageHealth, pending: int) -> None:
        self._health, self._backlog = health, pending
        for _, on_health in [*self._listeners.values()]:
            on_health(health, pending)


def _warn_partial(error: SupabaseError) -> None:
    logger.warning(f"Conversations are read from the journal alone: {error}")


def _joined(here: Found, there: Found, message_limit: int) -> Found:
    previous = max(
        (one.previous for one in (here, there) if one.previous is not None),
        key=lambda conversation: conversation.last_message_at or conversation.created_at,
        default=None,
    )
    if here.opening is None or there.opening is None:
        opening = there.opening or here.opening
    elif here.opening.conversation.user_id != there.opening.conversation.user_id:
        # What the journal has is of another time, or of another user.
        opening = there.opening
    else:
        opening = _joined_opening(here.opening, there.opening, message_limit)
    return Found(opening, deleted=there.deleted, previous=previous)


def _joined_opening(here: Opening, there: Opening, message_limit: int) -> Opening:
    by_id: dict[UUID, Message] = {m.id: m for m in (*here.messages, *there.messages)}
    messages = sorted(by_id.values(), key=lambda m: (m.created_at, m.seq or 0))
    known = max(
        here.older_messages + len(here.messages),
        there.older_messages + len(there.messages),
        len(messages),
    )
    newest = tuple(messages[-message_limit:]) if message_limit else ()
    said_at = [one.conversation.last_message_at for one in (here, there)]
    last = max((moment for moment in said_at if moment is not None), default=None)
    return Opening(
        # What the journal says later of it is on its way there. But what is said now comes after
        # all that was said.
        conversation=there.conversation.model_copy(update={"last_message_at": last}),
        messages=newest,
        older_messages=known - len(newest),
        last_message_seq=max(here.last_message_seq, there.last_message_seq),
        last_transition_seq=max(here.last_transition_seq, there.last_transition_seq),
        standing=later_standing(here.standing, there.standing),
        incomplete=here.incomplete,
    )
