"""Runs a bot, and writes down how long each thing held its event loop. Linux only.

    python benchmarks/held_loop.py OUTPUT BOT_FILE [the runner's flags]

A heartbeat runs on the loop. What a beat is late by is a hold, less the time that the loop's thread
waited for a processor: whoever has that is the machine's business, not the bot's. Waiting for
Python's lock counts, as whoever has that is in the bot.
"""

import asyncio
import importlib
import sys
import threading
import time
from pathlib import Path
from typing import Any

BEAT_SECS = 0.001
NOTED_SECS = 0.0005
"""What is shorter is not written down."""


class Watch:
    """Watches the event loop that it is made on.

    Args:
        output: Gets a line for each hold: when it ended, in monotonic seconds, and how long it was.
    """

    def __init__(self, output: Path) -> None:
        """Open what is read and written."""
        schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._schedule = schedule.open("rb", buffering=0)
        self._output = output.open("a", encoding="ascii", buffering=1)

    async def run(self) -> None:
        """Watch until cancelled."""
        beat_at, waited = time.monotonic(), self._waited_secs()
        while True:
            await asyncio.sleep(BEAT_SECS)
            now, waited_by_now = time.monotonic(), self._waited_secs()
            held = now - beat_at - BEAT_SECS - (waited_by_now - waited)
            if held > NOTED_SECS:
                self._output.write(f"{now:.6f} {held:.6f}\n")
            beat_at, waited = now, waited_by_now

    def _waited_secs(self) -> float:
        """How long the loop's thread has waited for a processor so far."""
        self._schedule.seek(0)
        return int(self._schedule.read().split()[1]) / 1e9


def longest_hold_secs(output: Path, since: float, until: float) -> float:
    """The longest hold between two moments, in monotonic seconds."""
    lines = (line.split() for line in output.read_text("ascii").splitlines())
    return max((float(held) for at, held in lines if since <= float(at) <= until), default=0.0)


def main() -> None:
    """Run the bot that the command line names."""
    output, bot_file = Path(sys.argv[1]), Path(sys.argv[2])
    sys.argv = sys.argv[2:]
    # Its own packages, whatever project this file is in.
    sys.path[0] = str(bot_file.parent)
    program = importlib.import_module(bot_file.stem)
    watching = set[asyncio.Task[None]]()

    async def watched(runner_args: Any) -> None:  # noqa: ANN401  # the runner's
        if not watching:
            watching.add(asyncio.create_task(Watch(output).run()))
        await program.bot(runner_args)

    # The runner looks for `bot` in the program.
    globals()["bot"] = watched
    program.main()


if __name__ == "__main__":
    main()
