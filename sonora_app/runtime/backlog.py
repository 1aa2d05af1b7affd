"""Tells which sound is too old to be worth hearing, where a process cannot keep up.

The age of a piece of sound is how much later it is read than the stream's own time says, compared
with the piece that was read soonest. Sound that waited in the network or in a stalled process is
read quickly and is heard late, which is better than not at all. Where it stays old, or is very old,
everything up to the newest is dropped: nobody waits so long for an answer, and it would only get
later.
"""

import time
from collections.abc import Callable

OLD_SECS = 2.0
"""Sound of this age is dropped unless it gets younger within `PATIENCE_SECS`."""

TOO_OLD_SECS = 3.0
"""Sound of this age is dropped at once."""

PATIENCE_SECS = 2.0
YOUNG_SECS = 0.3
"""At this age sound is heard again."""


class Backlog:
    """What one stream of sound is behind.

    Args:
        clock: Tells the time in seconds, and is never set.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was read yet."""
        self._clock = clock
        self._soonest: float | None = None
        self._old_since: float | None = None
        self._dropped_from: float | None = None
        self._checked: tuple[float, float] = (0.0, 0.0)
        self._last: float | None = None
        self._ticked_at: float | None = None
        self._stalled_at: float | None = None

    @property
    def dropping(self) -> bool:
        """Whether sound is being dropped."""
        return self._dropped_from is not None

    def restart(self) -> None:
        """Another stream begins, with a time of its own."""
        self._soonest = self._old_since = self._dropped_from = self._last = None

    def tick(self) -> None:
        """The process runs. To be told several times a second, so that a stall is noticed."""
        now = self._clock()
        if self._has_stalled(now):
            self._stalled_at = now
        self._ticked_at = now

    def read(self, at_secs: float) -> float | None:
        """A piece of sound is read.

        Args:
            at_secs: Where it stands in its stream, in seconds.

        Returns:
            None where it is to be dropped; otherwise how many seconds were dropped before it, 0 as
            a rule.
        """
        now = self._clock()
        last, self._last = self._last, at_secs
        behind = now - at_secs
        if self._soonest is None or behind < self._soonest:
            self._soonest = behind
        age = behind - self._soonest
        if self._dropped_from is not None:
            if age > YOUNG_SECS:
                if not self._is_newest(now, at_secs):
                    return None
                self._soonest = behind
            dropped_secs = at_secs - self._dropped_from
            self._dropped_from = self._old_since = None
            return dropped_secs
        if age <= OLD_SECS:
            self._old_since = None
        elif self._old_since is None:
            self._old_since = now
        if age > TOO_OLD_SECS or (
            self._old_since is not None and now - self._old_since > PATIENCE_SECS
        ):
            self._dropped_from = at_secs
            self._checked = (at_secs, now)
            return None
        # Pipecat throws away what waits in its track, and tells nobody, where nothing was read for
        # two seconds.
        if last is not None and at_secs - last > TOO_OLD_SECS and self._has_stalled(now):
            return at_secs - last
        return 0.0

    def _has_stalled(self, now: float) -> bool:
        """Whether the process stalls until now, or has just done so."""
        if self._stalled_at is not None and now - self._stalled_at < OLD_SECS:
            return True
        return self._ticked_at is not None and now - self._ticked_at > TOO_OLD_SECS

    def _is_newest(self, now: float, at_secs: float) -> bool:
        """Whether sound is read no faster than it comes: then none waits, and its stream's time
        has changed, or the process cannot catch up even so."""
        at_before, before = self._checked
        if now - before < PATIENCE_SECS:
            return False
        self._checked = (at_secs, now)
        return at_secs - at_before < 1.2 * (now - before)
