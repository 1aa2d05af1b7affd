"""How long something took, but for the time in which it had no processor, since others had it."""

import contextlib
import os
import time
from pathlib import Path

from simulators.clients.bot_process import BotProcess


class Waiting:
    """Measures a wait for bots, from now on. On a machine with nothing else to do it is a clock.

    A bot that is slow by itself, blocks or hangs is not excused: only time counts in which the
    system had nothing to run a thread on that was ready (`/proc/<pid>/task/*/schedstat`, its second
    field). Where there is none, as on macOS, nothing is excused. Of a thread that ends meanwhile,
    what it had waited counts up to when it was looked at last.

    Args:
        *bots: Whom is waited for.
    """

    def __init__(self, *bots: BotProcess) -> None:
        self._pids = [os.getpid(), *(bot.process.pid for bot in bots)]
        # Of each thread, those among them that have ended since, in nanoseconds.
        self._waited: dict[Path, int] = {}
        self._began = time.monotonic()
        self._starved_secs = self._starved()

    def secs(self, until: float | None = None) -> float:
        """How long it took.

        Args:
            until: When it was over, in monotonic seconds; None is now.
        """
        took = (time.monotonic() if until is None else until) - self._began
        return took - self.excused_secs

    @property
    def excused_secs(self) -> float:
        """How much of it had no processor, up to now, in seconds; that of all threads together."""
        return max(0.0, self._starved() - self._starved_secs)

    def _starved(self) -> float:
        """How long the threads have waited for a processor, in seconds."""
        for pid in self._pids:
            for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                # It may have ended meanwhile.
                with contextlib.suppress(OSError):
                    self._waited[thread] = int(thread.read_text().split()[1])
        return sum(self._waited.values()) / 1e9
