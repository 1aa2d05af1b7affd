"""What a bot did not let go of after its calls, and what it wrote to its log."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.soak.phrases import CODE
from benchmarks.soak.process import Held, look
from simulators.clients.bot_process import BotProcess

SETTLE_SECS = 60.0
"""How long the bot may take to notice that callers vanished, and to tidy up after them."""

_POOLS = ("uvloop", "asyncio")

_DATABASE = "tcp to the database"
_POOLED_CONNECTIONS = 20
"""How many connections httpx keeps for later (https://www.python-httpx.org/advanced/resource-limits)."""

_BAD_LINES = re.compile(
    r"Traceback \(most recent call last\)|never retrieved|was never awaited|"
    r"Task was destroyed|Uncaught exception|A part of the call failed|are lost"
)


class Leftovers:
    """What a bot holds at rest, compared with what it held before.

    What calls are made of is compared with what the bot held before its first call. Files and
    threads are compared with what it held after its first round. The pools of the process, of
    threads and of connections to the database, may grow to their limits.

    Args:
        bot: The bot.
        peers: Whom it may have connections to, by port.
    """

    def __init__(self, bot: BotProcess, peers: Mapping[int, str]) -> None:
        """Set up; `begin` sees what there is before the first call."""
        self._bot = bot
        self._peers = peers
        self._before: Held | None = None
        self._warm: Held | None = None

    async def begin(self) -> None:
        """See what the bot holds before its first call."""
        self._before = await look(self._bot, self._peers)

    async def check(self) -> tuple[Held, list[str]]:
        """Wait until nothing is left behind; gives what the bot holds, and what is too much."""
        deadline = time.monotonic() + SETTLE_SECS
        while True:
            held = await look(self._bot, self._peers)
            left = [*self._left(held)]
            if not left or time.monotonic() > deadline:
                self._warm = self._warm or held
                return held, left
            await asyncio.sleep(1)

    def _left(self, held: Held) -> Iterator[str]:
        assert self._before is not None
        before, warm = self._before, self._warm or held
        for what, then, now in (
            ("calls", before.calls, held.calls),
            ("tasks", before.tasks, held.tasks),
            ("sockets", _sockets(before), _sockets(held)),
            ("files", warm.files, _without_connections(held.files)),
            ("threads", warm.threads, _without_pool(held.threads)),
            ("native threads", _native(warm), _native(held)),
        ):
            more = _more(then, now)
            if more:
                yield f"{what} left behind: {more}"


def _without_pool(threads: Mapping[str, int]) -> Mapping[str, int]:
    """All threads but those of the loop's pool, which grows to its limit as it needs."""
    return {name: count for name, count in threads.items() if name not in _POOLS}


def _native(held: Held) -> Mapping[str, int]:
    pool = sum(held.threads.get(name, 0) for name in _POOLS)
    return {"native": held.native_threads - pool}


def _sockets(held: Held) -> Mapping[str, int]:
    """Those that calls are made of, and the database's beyond what its pool may keep."""
    sockets = {kind: n for kind, n in held.files.items() if kind.startswith(("tcp", "udp"))}
    pooled = sockets.pop(_DATABASE, 0)
    return {**sockets, _DATABASE: max(0, pooled - _POOLED_CONNECTIONS)}


def _without_connections(files: Mapping[str, int]) -> Mapping[str, int]:
    return {kind: count for kind, count in files.items() if not kind.startswith("tcp to")}


def _more(then: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {name: n - then.get(name, 0) for name, n in now.items() if n > then.get(name, 0)}


_AIORTC = re.compile(r"coro=<RTC\w+\.\w+\(\) .*/aiortc/")
"""aiortc does not look after its own tasks when a peer is gone for good."""

_ERROR = re.compile(r"^[\w.]+(?:Error|Exception)\b")


class LogReader:
    """Reads a bot's log as it grows.

    Args:
        path: The log.
    """

    def __init__(self, path: Path) -> None:
        """Start at its beginning."""
        self._path = path
        self._read = 0

    def problems(self) -> Iterator[str]:
        """What must not be in what was written since the last time."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            written = log.read()
            self._read = log.tell()
        lines = written.decode("utf-8", errors="replace").splitlines()
        for line in lines:
            if CODE.search(line):
                yield f"the log holds what people say: {line[:300]}"
        for trouble in _troubles(lines):
            if not _AIORTC.search(trouble):
                yield f"the log: {trouble[:1000]}"


def _troubles(lines: Sequence[str]) -> Iterator[str]:
    """Each bad line, with the traceback that follows it."""
    trouble: list[str] = []
    for line in lines:
        follows = line.startswith((" ", "future:", "Traceback ", "task:")) or _ERROR.match(line)
        if trouble and not follows:
            yield "\n".join(trouble)
            trouble = []
        if trouble or _BAD_LINES.search(line):
            trouble.append(line)
    if trouble:
        yield "\n".join(trouble)
