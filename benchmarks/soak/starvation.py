"""When other programs had the processor: what is late then says nothing about the bot."""

import asyncio
import os
import time
from pathlib import Path

_LOOK_SECS = 2.0
_STARVED = 0.25
"""The share of the time that a process waits for a processor from which on it counts as starved."""


class Starvation:
    """Watches how long the bot's and our own main thread wait while ready to run.

    A bot that is slow by itself, blocks or hangs is not taken for starved: only time counts in
    which the system had nothing to run it on (`/proc/<pid>/schedstat`, its second field).

    Args:
        *bots: The process ids of the bot.

    Attributes:
        spells: When either was starved, as monotonic seconds.
        share: How much of all the time that was.
    """

    def __init__(self, *bots: int) -> None:
        """Set up; `run` watches."""
        self._stats = [Path(f"/proc/{pid}/task/{pid}/schedstat") for pid in (*bots, os.getpid())]
        self.spells: list[tuple[float, float]] = []
        self._watched_secs = 0.0

    @property
    def share(self) -> float:
        """How much of the time either was starved."""
        starved = sum(end - start for start, end in self.spells)
        return starved / self._watched_secs if self._watched_secs else 0.0

    def between(self, start: float, end: float) -> bool:
        """Whether either was starved between two moments."""
        return any(begun < end and start < over for begun, over in self.spells)

    async def run(self) -> None:
        """Watch until cancelled."""
        before, waited = time.monotonic(), self._waited_secs()
        while True:
            await asyncio.sleep(_LOOK_SECS)
            now, waits = time.monotonic(), self._waited_secs()
            took = now - before
            self._watched_secs += took
            if any(w - b > _STARVED * took for w, b in zip(waits, waited, strict=True)):
                self.spells.append((before, now))
            before, waited = now, waits

    def _waited_secs(self) -> list[float]:
        return [int(stat.read_text().split()[1]) / 1e9 for stat in self._stats]
