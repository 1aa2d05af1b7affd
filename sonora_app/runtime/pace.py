"""Keeps the pace of audio by a clock that nobody sets."""

import asyncio
import time
from collections.abc import Callable

LATE_SECS = 0.1
"""How late a packet may be and be made up for. The listener has heard silence for longer than a
loudspeaker's buffer by then, so that what is made up for would only be heard that much later."""


class Pace:
    """When each packet of a stream of audio is due.

    A stall is not made up for: the stream goes on from where it stood.

    Args:
        clock: Tells the time in seconds, and is never set.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is due yet."""
        self._clock = clock
        self._due: float | None = None

    async def wait(self, packet_secs: float) -> None:
        """Wait until the next packet is due.

        Args:
            packet_secs: How much audio it holds, in seconds.
        """
        now = self._clock()
        if self._due is None or now - self._due > LATE_SECS:
            self._due = now
        elif self._due > now:
            await asyncio.sleep(self._due - now)
        self._due += packet_secs
