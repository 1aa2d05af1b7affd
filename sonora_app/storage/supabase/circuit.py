"""When to try Supabase again: after growing pauses, and rarely while the server is dead."""

import random
import time
from collections.abc import Callable

OPENS_AFTER = 5
"""Failures in a row after which the circuit is open."""

_FIRST_WAIT_SECS = 0.2
_LONGEST_WAIT_SECS = 5.0
_FIRST_PAUSE_SECS = 10.0
_LONGEST_PAUSE_SECS = 60.0


class Circuit:
    """Says how long to wait before the next attempt.

    While it is closed, waits double from 0.2 s to 5 s, with full jitter. After five failures in
    a row it is open: attempts are 10 s apart, doubling up to 60 s, each by up to half less, so
    that many processes do not return at once. One that succeeds closes it.

    Args:
        clock: A monotonic clock, in seconds.
        rand: Random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        rand: Callable[[], float] = random.random,
    ) -> None:
        """Start closed."""
        self._clock = clock
        self._rand = rand
        self._failures = 0
        self._not_before = 0.0
        self._asked_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server counts as dead."""
        return self._failures >= OPENS_AFTER

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def wait_secs(self) -> float:
        """How long until the next attempt may be made, in seconds."""
        return max(0.0, self._not_before - self._clock())

    def failed(self, retry_after_secs: float | None = None) -> None:
        """Note an attempt that failed.

        Args:
            retry_after_secs: How long the server asks to wait; never cut short.
        """
        self._failures += 1
        if self.is_open:
            pause = _FIRST_PAUSE_SECS * 2 ** min(self._failures - OPENS_AFTER, 16)
            wait = min(pause, _LONGEST_PAUSE_SECS) * (0.5 + self._rand() / 2)
        else:
            wait = _FIRST_WAIT_SECS * 2 ** (self._failures - 1)
            wait = min(wait, _LONGEST_WAIT_SECS) * self._rand()
        now = self._clock()
        if retry_after_secs is not None:
            self._asked_until = now + retry_after_secs * (1 + self._rand() / 10)
        self._not_before = max(now + wait, self._asked_until)

    def succeeded(self) -> None:
        """Note an attempt that succeeded."""
        self._failures = 0
        self._not_before = self._asked_until = 0.0

    def hurry(self) -> None:
        """Let the next attempt be made now, unless the server asked to wait."""
        self._not_before = self._asked_until
