"""The journal as a store: an SQLite database on this machine.

Without Supabase the journal is the only store. With Supabase it is also the outbox: records wait in
it until they are shipped.

A write counts as done when it is on the disk. Every commit is synced (`synchronous=FULL` in WAL
mode), so an acknowledged record survives both `kill -9` and a loss of power. That takes some tenths
of a millisecond on a solid-state disk, once per batch, on the journal's thread; no call waits.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple
from uuid import UUID

from sonora_app.storage.figures import Figures, FiguresWanted
from sonora_app.storage.files.files import LocalFiles
from sonora_app.storage.journal import position_rows
from sonora_app.storage.journal.connection import JournalConnection
from sonora_app.storage.journal.erasure import Erasure
from sonora_app.storage.journal.figures import read_figures
from sonora_app.storage.journal.finding import read_listings
from sonora_app.storage.journal.memory_rows import read_known, read_news
from sonora_app.storage.journal.orphans import Orphans, find_orphans
from sonora_app.storage.journal.outbox import Outbox
from sonora_app.storage.journal.queries import (
    read_found,
    read_tool_calls,
    read_transcript,
    read_unshipped,
)
from sonora_app.storage.journal.report_rows import Reports
from sonora_app.storage.journal.request_rows import JournalRequests
from sonora_app.storage.journal.writes import write_record
from sonora_app.storage.listing import Listings
from sonora_app.storage.memory_changes import MemoryChanges
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import Record, RecordedCall, StorageHealth
from sonora_app.storage.side_loop import SideLoop
from sonora_app.storage.store import NOTHING, Found, Known, Recall, Transcript
from sonora_app.storage.tool_calls import ToolCall
from sonora_app.storage.unwritten import Unwritten
from sonora_app.storage.wanted import EVERY, Wanted

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")

_LOOK_SECS = 0.05
"""How often to look whether a call of another process has ended that was asked to."""

_LAST_ATTEMPT_SECS = 5.0
"""What writing the last records may take when the journal is closed."""


class Journal:
    """A `Store` in one SQLite file, which several processes may use at once.

    Made by `Journal.connect`. It works on one thread of its own, and writes in the order it was
    asked to. While another connection writes, only writes wait. Cancelling a call undoes nothing.

    Attributes:
        path: Its file.
        outbox: What waits to be shipped from it.
        erasure: Takes rows out of it for good.
        reports: Which reports of calls are still to be sent.
        unwritten: What recording has for it that it did not take yet.
        files: What people sent, in the folder `files` beside it.
        memory_changes: Tells what is written of people to whoever follows them.
        requests: What the model was asked.
    """

    def __init__(self, path: Path, *, outbox: bool) -> None:
        """Start the thread; `connect` opens the file on it."""
        self._connection = connection = JournalConnection(path)
        self.outbox = Outbox(path, connection.transact)
        self.erasure = Erasure(path, connection.transact, connection.in_turn)
        self.reports = Reports(connection.transact)
        self.unwritten = Unwritten()
        self.files = LocalFiles(path.parent / "files")
        self.memory_changes = MemoryChanges(
            lambda of: connection.transact(lambda rows: read_news(rows, of), write=False)
        )
        self.requests = JournalRequests(connection.transact)
        self.path = path
        self._ships = outbox

    @property
    def generation(self) -> int:
        """Another number once the journal was begun anew, since its file was gone."""
        return self._connection.generation

    @property
    def side(self) -> SideLoop:
        """The loop of the journal's thread, for what writes to it."""
        return self._connection.side

    @classmethod
    async def connect(
        cls, path: Path, *, outbox: bool = False, read_only: bool = False
    ) -> "Journal":
        """Open the journal at `path`.

        To write, its folder (mode 0700) and file (mode 0600) are made when they are missing,
        and its schema is brought up to date. To read, nothing is made or changed, and it works
        while others write.

        Args:
            path: The journal's file. Locks are kept beside it.
            outbox: Whether what is written is also put in the outbox, to be shipped.
            read_only: Whether to open it for reading only.

        Raises:
            StorageError: It cannot be opened, or is newer than this version of Sonora, or
                there is nothing to read yet.
        """
        journal = cls(path, outbox=outbox)
        try:
            await journal._connection.open(read_only=read_only)
        except BaseException:
            await journal.aclose()
            raise
        if not read_only:
            journal.erasure.finish()
        return journal

    async def write(self, records: Sequence[Record]) -> None:
        """Write `records` in order, all or none. Writing a record again changes nothing.

        A record that is new is inserted; one whose id is kept stays as it was first written. An
        update changes the fields it names, and merges its `metadata` or `metrics` key by key;
        of two updates the one written later wins. With the outbox on, each record that changes
        something is put there in the same transaction.

        Raises:
            RecordRefusedError: Nothing was written, and one of them never will be.
            StorageError: Nothing was written; the same records may be written later.
        """
        batch = tuple(records)
        if await self._connection.transact(lambda rows: self._write(rows, batch), write=True):
            self.outbox.enqueued.set()
        self.memory_changes.written(batch)

    def recorder(
        self,
        call: RecordedCall,
        *,
        on_written: Callable[[Record], None],
        on_health: Callable[[StorageHealth, int], None],
    ) -> Recorder:
        """See `Store.recorder`."""
        return Recorder(self, call, on_written=on_written, on_health=on_health)

    def subscribe(
        self,
        on_stored: Callable[[Sequence[UUID]], None],
        on_health: Callable[[StorageHealth, int], None],
    ) -> Callable[[], None]:
        """See `Store.subscribe`. There is no other store."""
        return lambda: None

    async def settle(self, *, timeout_secs: float) -> int:
        """See `Store.settle`. What is written to a journal is settled."""
        return 0

    async def look_up(
        self,
        conversation_id: UUID | None,
        user_id: str,
        *,
        message_limit: int,
        recall: Recall = NOTHING,
        deadline_secs: float | None = None,
    ) -> Found:
        """See `Store.look_up`. It is on this machine, so there is no deadline to keep."""
        # First: what is written meanwhile is read.
        waiting = self.unwritten.conversations()
        reading = partial(read_found, message_limit=message_limit, recall=recall)
        found = await self._read(reading, conversation_id, user_id)
        if found.opening is not None and found.opening.conversation.id in waiting:
            return replace(found, opening=replace(found.opening, incomplete=True))
        return found

    async def found_by_now(
        self, found: Found, conversation_id: UUID, user_id: str, *, message_limit: int
    ) -> Found:
        """See `Store.found_by_now`."""
        by_now = await self.look_up(conversation_id, user_id, message_limit=message_limit)
        return replace(by_now, known=found.known, complete=found.complete)

    async def claim(self, conversation_id: UUID, session_id: UUID, *, within_secs: float) -> bool:
        """See `Store.claim`."""

        def work(connection: sqlite3.Connection, living: Set[UUID]) -> tuple[UUID | None, bool]:
            former = position_rows.claim(connection, conversation_id, session_id)
            if former is None or former.process_id == self._connection.process_id():
                return None, False
            if former.process_id in living:
                return former.session_id, True
            return None, bool(self._close_orphans(connection, living).session_ids)

        former, changes = await self._connection.in_turn(work)
        if former is None:
            return changes
        with suppress(TimeoutError):
            async with asyncio.timeout(within_secs):
                while True:
                    await asyncio.sleep(_LOOK_SECS)
                    if await self._read(position_rows.has_ended, former):
                        break
        return True

    async def holder(self, conversation_id: UUID) -> UUID | None:
        """See `Store.holder`."""
        return await self._read(position_rows.read_holder, str(conversation_id))

    async def known(self, user_id: str, recall: Recall) -> Known:
        """See `Store.known`."""
        return await self._read(read_known, user_id, recall)

    async def transcript(self, conversation_id: UUID) -> Transcript | None:
        """See `Store.transcript`. Deleted messages are left out."""
        return await self._read(read_transcript, conversation_id)

    async def tool_calls(self, conversation_id: UUID, *, limit: int) -> tuple[ToolCall, ...]:
        """See `Store.tool_calls`."""
        return await self._read(read_tool_calls, conversation_id, limit)

    async def unshipped(self, conversation_id: UUID) -> frozenset[UUID]:
        """The ids of a conversation's rows that are kept nowhere else for sure."""
        return await self._read(read_unshipped, conversation_id)

    async def conversations(
        self, wanted: Wanted = EVERY, *, limit: int = 50, offset: int = 0, only_here: bool = False
    ) -> Listings:
        """See `Store.conversations`. `only_here`: those that are kept nowhere else for sure."""
        lives = self._connection.lives
        return await self._read(read_listings, lives, wanted, limit, offset, only_here)

    async def figures(self, wanted: FiguresWanted) -> Figures:
        """See `Store.figures`."""
        return await self._read(read_figures, wanted)

    async def set_owner(self, conversation_id: UUID, user_id: str | None) -> None:
        """Note whose a conversation is, as the store behind this one says. Nothing is shipped.

        Raises:
            StorageError: It could not be noted.
        """
        await self._connection.transact(
            lambda connection: connection.execute(
                "UPDATE conversations SET user_id = ? WHERE id = ?", (user_id, str(conversation_id))
            ),
            write=True,
        )

    async def close_orphans(self) -> list[UUID]:
        """End the sessions whose process died before it could, and their calls of tools.

        Each ends at its last message, as crashed. Its conversation becomes failed if it still
        counts as active and no living process has a session of it. Its tools end as unknown.

        Returns:
            The ids of those sessions, the one that began first first.

        Raises:
            StorageError: None of them was ended.
        """
        closed = await self._connection.in_turn(self._close_orphans)
        if closed.records and self._ships:
            self.outbox.enqueued.set()
        return closed.session_ids

    async def finish(self) -> None:
        """Try a last time to write what was recorded; what cannot be written is told in the log."""
        await self.side.run(self.unwritten.finish(_LAST_ATTEMPT_SECS))

    async def aclose(self) -> None:
        """Finish what is under way and let go of the journal. Safe to call twice.

        Raises:
            StorageError: The file or its lock could not be let go of in order.
        """
        if not self._connection.is_closed:
            await self.finish()
        await self.erasure.aclose()
        await self._connection.aclose()

    async def _read(
        self, query: Callable[[sqlite3.Connection, *_Args], _Result], *args: *_Args
    ) -> _Result:
        return await self._connection.transact(lambda rows: query(rows, *args), write=False)

    # What follows runs on the journal's thread.

    def _write(self, connection: sqlite3.Connection, records: Sequence[Record]) -> bool:
        """Write `records`. Gives whether any of them was put in the outbox."""
        process_id = self._connection.process_id()
        enqueued = [
            write_record(connection, record, process_id=process_id, outbox=self._ships)
            for record in records
        ]
        return any(enqueued)

    def _close_orphans(self, connection: sqlite3.Connection, living: Set[UUID]) -> Orphans:
        orphans = find_orphans(connection, living)
        for record, ships in orphans.records:
            write_record(
                connection,
                record,
                process_id=self._connection.process_id(),
                outbox=self._ships and ships,
            )
        return orphans
