"""Tells the calls of a process what is kept, ended and forgotten of the person who talks in them.

Whoever has it done may be the console, or another call of that person.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sonora_app.storage.records import AnyMemory, Record


@dataclass(frozen=True, eq=False)
class _Follower:
    user_id: str
    told: Callable[[Sequence[AnyMemory]], None]
    loop: asyncio.AbstractEventLoop


class MemoryChanges:
    """What was written of what is remembered, for whoever follows a person."""

    def __init__(self) -> None:
        """Nobody follows anybody yet."""
        self._followers: set[_Follower] = set()

    def follow(
        self, user_id: str, told: Callable[[Sequence[AnyMemory]], None]
    ) -> Callable[[], None]:
        """Be told what is written of a person from here on, one's own writing included.

        Args:
            user_id: The person.
            told: Told it on the running loop, in the order it was written.

        Returns:
            Ends it.
        """
        follower = _Follower(user_id, told, asyncio.get_running_loop())
        self._followers.add(follower)
        return lambda: self._followers.discard(follower)

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

    def _tell(self, follower: _Follower, records: Sequence[AnyMemory]) -> None:
        if follower in self._followers:
            follower.told(records)
