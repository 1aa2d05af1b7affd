"""Tells the calls of a process what is kept, ended and forgotten of the person who talks in them.

Whoever has it done may be the console, or another call of that person: they are told at once. What
another process did, such as `sonora memories forget`, is looked for in the store.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sonora_app.errors import StorageError
from sonora_app.storage.records import AnyMemory, Memory, MemoryUpdate, Record, utc_now

_LOOK_SECS, _LOOK_BEHIND_SECS = 1.0, 5.0
"""How often to look in the store, and in the one behind it, in seconds."""

_OVERLAP = timedelta(minutes=1)
"""How long before a call began what was written counts as new: the call read a little earlier, and
the clocks of machines differ."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for of what was written of a person.

    Parameters:
        user_id: The person.
        known: The ids of the memories whose end is of interest.
        since: From when on what was written is of interest.
    """

    user_id: str
    known: Collection[UUID]
    since: datetime


Look = Callable[[Wanted], Awaitable[Sequence[AnyMemory]]]
"""Looks for what was written. Raises `StorageError`."""


@dataclass(frozen=True, eq=False)
class _Follower:
    user_id: str
    told: Callable[[Sequence[AnyMemory]], None]
    known: Callable[[], Collection[UUID]]
    loop: asyncio.AbstractEventLoop


class MemoryChanges:
    """What was written of what is remembered, for whoever follows a person.

    Args:
        look: Looks in the store.

    Attributes:
        look_behind: Looks in the store behind this one; None where there is none.
    """

    def __init__(self, look: Look) -> None:
        """Nobody follows anybody yet."""
        self.look_behind: Look | None = None
        self._look = look
        self._followers: set[_Follower] = set()

    def follow(
        self,
        user_id: str,
        told: Callable[[Sequence[AnyMemory]], None],
        *,
        known: Callable[[], Collection[UUID]],
    ) -> Callable[[], None]:
        """Be told what is written of a person from here on, one's own writing included.

        What another process wrote is told again and again.

        Args:
            user_id: The person.
            told: Told it on the running loop. What this process wrote comes in its order.
            known: Gives the ids of the memories whose end is of interest.

        Returns:
            Ends it.
        """
        follower = _Follower(user_id, told, known, asyncio.get_running_loop())
        self._followers.add(follower)
        tasks = [asyncio.create_task(self._watch(follower, self._look, _LOOK_SECS))]
        if self.look_behind is not None:
            behind = self._watch(follower, self.look_behind, _LOOK_BEHIND_SECS)
            tasks.append(asyncio.create_task(behind))

        def end() -> None:
            self._followers.discard(follower)
            for task in tasks:
                task.cancel()

        return end

    def written(self, records: Sequence[Record]) -> None:
        """Tell of what was just written, from whatever thread."""
        if not self._followers:
            return
        of_people: dict[str, list[AnyMemory]] = {}
        for record in records:
            if isinstance(record, AnyMemory):
                of_people.setdefault(record.user_id, []).append(record)
        for follower in self._followers.copy() if of_people else ():
            if of_one := of_people.get(follower.user_id):
                # A loop that is closed has nobody left to tell.
                with suppress(RuntimeError):
                    follower.loop.call_soon_threadsafe(self._tell, follower, of_one)

    async def _watch(self, follower: _Follower, look: Look, every_secs: float) -> None:
        since = utc_now() - _OVERLAP
        while True:
            await asyncio.sleep(every_secs)
            # It is looked for again, and what reads and writes tells of failures.
            with suppress(StorageError):
                if found := await look(Wanted(follower.user_id, follower.known(), since)):
                    self._tell(follower, found)

    def _tell(self, follower: _Follower, records: Sequence[AnyMemory]) -> None:
        if follower in self._followers:
            follower.told(records)


def news(memories: Iterable[Memory], wanted: Wanted) -> list[Memory | MemoryUpdate]:
    """What some memories of a person tell of what is wanted: their ends, and what is new."""
    memories, now = list(memories), utc_now()
    over = {memory.id: memory for memory in memories if not memory.holds(now)}
    instead = {memory.replaced_by for memory in over.values() if memory.id in wanted.known}
    told: list[Memory | MemoryUpdate] = [
        MemoryUpdate(
            id=memory.id,
            user_id=memory.user_id,
            valid_until=memory.valid_until,
            replaced_by=memory.replaced_by,
            forgotten_at=memory.forgotten_at,
        )
        for memory in over.values()
    ]
    told += [
        memory
        for memory in memories
        if memory.id not in over and (memory.created_at >= wanted.since or memory.id in instead)
    ]
    return told
