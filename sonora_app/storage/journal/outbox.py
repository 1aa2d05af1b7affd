"""The journal's outbox: the records that wait to be shipped, and those that were refused for good.

A record enters the outbox in the transaction that writes it. It leaves when it is stored elsewhere.
Only a bounded number of records is read at a time, however many wait.
"""

import fcntl
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sonora_app.storage.journal import provisional
from sonora_app.storage.journal.database import Transact, storage_errors
from sonora_app.storage.journal.file_rows import Whereabouts, named_files, whereabouts
from sonora_app.storage.journal.outbox_rows import (
    COLUMNS,
    SHIPPED_KEPT,
    Counts,
    Entry,
    Listed,
    discard_entry,
    read_batch,
    retry_entries,
    sql_time,
    to_entry,
    to_listed,
)
from sonora_app.storage.journal.provisional import Provisional
from sonora_app.storage.journal.pruning import prune_some
from sonora_app.storage.records import utc_now
from sonora_app.storage.side_loop import Signal

_COUNTED = 100_000
"""The most entries that are counted at once."""


class Outbox:
    """The outbox of a journal. Every method may raise `StorageError`, having changed nothing.

    Attributes:
        enqueued: Set when this process puts something in the outbox; whoever waits for it
            clears it.
    """

    def __init__(self, path: Path, transact: Transact) -> None:
        """Made by the journal at `path`, on whose thread `transact` works."""
        self._path = path
        self._transact = transact
        self._claim: int | None = None
        self.enqueued = Signal()

    async def batch(self, limit: int) -> tuple[Entry, ...]:
        """The entries that wait longest, in order; at least one, if there is one.

        Those of conversations that have no place yet are left out.

        Args:
            limit: How many at most. Large ones make it fewer.
        """

        return await self._transact(lambda connection: read_batch(connection, limit), write=False)

    async def settle(self, shipped: Sequence[Entry], refused: Mapping[int, str]) -> None:
        """Take out what was shipped, and set aside what was refused for good.

        Args:
            shipped: What was shipped.
            refused: The reasons of what was refused, by position.
        """
        now = sql_time(utc_now())

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO shipped (table_name, row_id) VALUES (?, ?)",
                [(entry.table, str(entry.row_id)) for entry in shipped],
            )
            connection.executemany(
                "UPDATE messages SET stored_at = ? WHERE id = ?",
                [(now, str(entry.row_id)) for entry in shipped if entry.table == "messages"],
            )
            connection.executemany(
                f"INSERT INTO set_aside ({COLUMNS}, reason, set_aside_at)"  # noqa: S608  # ours
                f" SELECT {COLUMNS}, ?, ? FROM outbox WHERE position = ?",
                [(reason, now, position) for position, reason in refused.items()],
            )
            connection.executemany(
                "DELETE FROM outbox WHERE position = ?", [(position,) for position in refused]
            )
            # Of a journal that was begun anew meanwhile, another entry may have the position.
            connection.executemany(
                "DELETE FROM outbox WHERE position = ? AND row_id = ?",
                [(entry.position, str(entry.row_id)) for entry in shipped],
            )
            connection.execute(
                "DELETE FROM shipped WHERE number <= (SELECT max(number) FROM shipped) - ?",
                (SHIPPED_KEPT,),
            )

        await self._transact(work, write=True)

    async def shipped_since(self, number: int | None) -> tuple[int, tuple[UUID, ...]]:
        """The messages that any process shipped after `number`, the latest few thousand at most.

        Args:
            number: What the last call gave; None gives no messages, only where to go on from.

        Returns:
            Where to go on from, and the ids of the messages.
        """

        def work(connection: sqlite3.Connection) -> tuple[int, tuple[UUID, ...]]:
            latest: int = connection.execute("SELECT max(number) FROM shipped").fetchone()[0] or 0
            rows = connection.execute(
                "SELECT row_id FROM shipped"
                " WHERE number > ? AND number <= ? AND table_name = 'messages' ORDER BY number",
                (latest if number is None else number, latest),
            )
            return latest, tuple(UUID(row["row_id"]) for row in rows)

        return await self._transact(work, write=False)

    async def unplaced(self) -> tuple[Provisional, ...]:
        """The conversations that are held back, since their place is not known yet."""
        return await self._transact(provisional.unplaced, write=False)

    async def place(self, held: Provisional, place: UUID) -> None:
        """Give one of them its place; what waits of it may then be shipped.

        Args:
            held: Which.
            place: What its own `place` gave.
        """
        await self._transact(
            lambda connection: provisional.settle(connection, held, place), write=True
        )

    async def whereabouts(self, conversation_ids: Collection[UUID]) -> Mapping[UUID, Whereabouts]:
        """What the journal knows of conversations."""
        return await self._transact(
            lambda connection: whereabouts(connection, conversation_ids), write=False
        )

    async def named_files(self, conversation_ids: Collection[UUID]) -> Set[UUID]:
        """The ids of the kept files that messages of these conversations name."""
        return await self._transact(
            lambda connection: named_files(connection, conversation_ids), write=False
        )

    async def counts(self) -> Counts:
        """How many entries there are."""

        def work(connection: sqlite3.Connection) -> Counts:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM set_aside)"
            ).fetchone()
            return Counts(*row)

        return await self._transact(work, write=False)

    async def last_position(self) -> int:
        """The position of the last entry that waits or was set aside; 0 when there is none."""
        query = (
            "SELECT max((SELECT coalesce(max(position), 0) FROM outbox),"
            " (SELECT coalesce(max(position), 0) FROM set_aside))"
        )
        return await self._transact(
            lambda connection: connection.execute(query).fetchone()[0], write=False
        )

    async def pending_until(self, position: int) -> int:
        """How many entries up to `position` wait, counting no further than `_COUNTED`."""
        return await self._transact(
            lambda connection: connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE position <= ? LIMIT ?)",
                (position, _COUNTED),
            ).fetchone()[0],
            write=False,
        )

    async def listed(self, *, limit: int) -> tuple[Listed, ...]:
        """What was set aside, then what waits, each in order.

        Args:
            limit: How many of each at most.
        """

        def work(connection: sqlite3.Connection) -> tuple[Listed, ...]:
            aside = connection.execute(
                "SELECT * FROM set_aside ORDER BY position LIMIT ?", (limit,)
            ).fetchall()
            waiting = connection.execute(
                "SELECT *, NULL AS reason FROM outbox ORDER BY position LIMIT ?", (limit,)
            ).fetchall()
            return tuple(to_listed(row) for row in (*aside, *waiting))

        return await self._transact(work, write=False)

    async def after(
        self, position: int, *, until: int | None = None, limit: int
    ) -> tuple[tuple[Entry, str | None], ...]:
        """Entries after `position`, in order and whole: those that wait, and those set aside.

        Args:
            position: Where to go on from; 0 begins.
            until: The last position to read; None is the end.
            limit: How many at most.

        Returns:
            Each with the reason why it was set aside, or None.
        """
        query = (
            "SELECT entries.*, conversations.user_id FROM ("  # noqa: S608  # names of ours
            f"SELECT {COLUMNS}, NULL AS reason FROM outbox"
            f" UNION ALL SELECT {COLUMNS}, reason FROM set_aside"
            ") AS entries LEFT JOIN conversations ON conversations.id = entries.conversation_id"
            " WHERE position > :after AND (:until IS NULL OR position <= :until)"
            " ORDER BY position LIMIT :limit"
        )
        values = {"after": position, "until": until, "limit": limit}

        def work(connection: sqlite3.Connection) -> tuple[tuple[Entry, str | None], ...]:
            rows = connection.execute(query, values)
            return tuple((to_entry(row), row["reason"]) for row in rows)

        return await self._transact(work, write=False)

    async def of_conversation(self, conversation_id: UUID) -> tuple[Entry, ...]:
        """All entries that wait of one conversation, in order and whole."""
        query = (
            "SELECT outbox.*, conversations.user_id FROM outbox"
            " LEFT JOIN conversations ON conversations.id = outbox.conversation_id"
            " WHERE conversation_id = ? ORDER BY position"
        )
        return await self._transact(
            lambda connection: tuple(
                to_entry(row) for row in connection.execute(query, (str(conversation_id),))
            ),
            write=False,
        )

    async def retry(self, position: int | None) -> int:
        """Put back what was set aside, at its place. Gives how many entries that were.

        Args:
            position: Which; None is all.
        """
        count = await self._transact(
            lambda connection: retry_entries(connection, position), write=True
        )
        if count:
            self.enqueued.set()
        return count

    async def discard(self, position: int) -> bool:
        """Forget an entry that was set aside; its record stays in the journal, for good.

        Args:
            position: Which.

        Returns:
            Whether there was such an entry.
        """
        return await self._transact(
            lambda connection: discard_entry(connection, position), write=True
        )

    async def prune(self, before: datetime) -> int:
        """Remove calls from the journal that ended before `before` and are stored elsewhere.

        Nothing goes that waits, was set aside or given up, or never was in the outbox. Of a
        conversation in which somebody talked since, the latest call stays.

        Returns:
            How many calls and conversations were removed.
        """
        removed = 0
        while some := await self._transact(
            lambda connection: prune_some(connection, before), write=True
        ):
            removed += some
        return removed

    def claim(self) -> bool:
        """Become the one who ships this outbox, until `release` or the end of the process.

        Takes some microseconds; does not wait for another.

        Returns:
            Whether it worked; no where another process, or another part of this one, ships.
        """
        if self._claim is not None:
            return False
        with storage_errors(self._path):
            path = self._path.with_suffix(".shipping.lock")
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
        self._claim = descriptor
        return True

    def release(self) -> None:
        """Let another process ship. Does nothing where this one does not."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
