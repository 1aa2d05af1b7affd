"""Holds the records of a process's calls that the journal has not taken yet.

A call may end before its last records are written, for example because the disk is full. The
records stay in memory until the journal takes them or the process ends. Meanwhile they are copied
to Supabase, if it is configured. Above 64 MB the oldest are dropped, first those that Supabase
already has, and the log says how many.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID

from loguru import logger

from sonora_app.storage.records import Record, RecordedCall

MOST_BYTES = 64 * 1024 * 1024
"""What may be held in memory. A turn takes about half a kilobyte."""

Past = Callable[[RecordedCall, Sequence[Record]], Awaitable[Sequence[bool]]]
"""Brings records to the store behind the journal, past it. Says of each whether it is there, or
raises `StorageError`."""

ToLog = Callable[[RecordedCall, Sequence[Record]], None]
"""Writes records to the log, as the last resort."""


class Holder(Protocol):
    """Who holds records of one call: a `RecordWriter`."""

    call: RecordedCall

    async def try_now(self, *, past: bool = True) -> bool:
        """Make one attempt. What it fails by is logged.

        Args:
            past: Whether what the journal does not take goes to the store behind it.

        Returns:
            Whether the journal has all of it now.
        """
        ...

    def drop(self, *, safe: bool) -> int:
        """Let go of the oldest record of what was said or done. Gives its size, or 0 if none.

        Args:
            safe: Only one that the store behind the journal has.
        """
        ...

    def only_here(self) -> Sequence[Record]:
        """The records that are nowhere but in memory."""
        ...


class Unwritten:
    """The records that the journal has not taken. Used on the journal's side loop.

    Args:
        most_bytes: How much of them is held.

    Attributes:
        past: Brings records to the store behind the journal; None where there is none.
        to_log: Writes to the log what is nowhere else at the end; None where that is not wanted.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        """Nothing is held."""
        self.past: Past | None = None
        self.to_log: ToLog | None = None
        self._most_bytes = most_bytes
        self._bytes = 0
        # In the order in which they began: what is dropped first comes first.
        self._holders: dict[Holder, None] = {}

    def held(self, holder: Holder, size: int) -> None:
        """Note that `holder` holds a record more, and make room for it."""
        self._holders[holder] = None
        self._bytes += size
        if self._bytes > self._most_bytes:
            self._make_room()

    def taken(self, size: int) -> None:
        """Note that a record was taken by the journal."""
        self._bytes -= size

    def conversations(self) -> frozenset[UUID]:
        """The conversations of which something is held. May be asked on any thread."""
        return frozenset(holder.call.conversation_id for holder in [*self._holders])

    def before(self, call: RecordedCall) -> list[Holder]:
        """Who holds records of earlier calls of the same conversation, the earliest first."""
        earlier = [
            holder
            for holder in self._holders
            if holder.call.conversation_id == call.conversation_id
            and holder.call.session_id < call.session_id
        ]
        return sorted(earlier, key=lambda holder: holder.call.session_id)

    def left(self, holder: Holder) -> None:
        """Note that `holder` holds nothing any more."""
        self._holders.pop(holder, None)

    async def finish(self, timeout_secs: float) -> None:
        """Have everything tried again at once, and say of what is left that it is lost.

        Args:
            timeout_secs: How long that may take, in seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                await asyncio.gather(*(holder.try_now() for holder in self._holders))
        for holder in self._holders:
            if lost := holder.only_here():
                logger.error(
                    f"{len(lost)} records of session {holder.call.session_id} could be written "
                    "nowhere before the end of the process"
                    + (" but to the log" if self.to_log else " and are lost")
                )
            self.log(holder)

    def log(self, holder: Holder) -> None:
        """Write to the log what only `holder` has, where that is wanted."""
        if self.to_log is not None and (records := holder.only_here()):
            self.to_log(holder.call, records)

    def _make_room(self) -> None:
        lost = 0
        for safe in (True, False):
            for holder in [*self._holders]:
                while self._bytes > self._most_bytes and (size := holder.drop(safe=safe)):
                    self._bytes -= size
                    lost += not safe
        if lost:
            logger.error(
                f"{lost} records are lost: the journal takes none, and more than "
                f"{self._most_bytes / 1024 / 1024:g} MB wait in memory"
            )
