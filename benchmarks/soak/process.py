"""What the bot's process holds: memory, processor time, files, sockets, threads, tasks."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from simulators.clients.bot_process import BotProcess

PROGRAM = "benchmarks/soak/watched_bot.py"

_SOCKET_TABLES = ("tcp", "tcp6", "udp", "udp6", "unix")


@dataclass(frozen=True)
class Held:
    """What a process holds at a moment when nobody calls.

    Parameters:
        memory_mb: Resident memory.
        cpu_secs: Processor time since it started.
        files: Its file descriptors, by kind: `tcp`, `udp`, `unix`, the path of a file, and so on;
            TCP connections by whom they are to.
        native_threads: How many threads the system knows of.
        threads: The names of Python's.
        tasks: What its asyncio tasks do, with how many do it.
        calls: How many objects of past calls are alive, by class.
    """

    memory_mb: float
    cpu_secs: float
    files: Mapping[str, int]
    native_threads: int
    threads: Mapping[str, int]
    tasks: Mapping[str, int]
    calls: Mapping[str, int]


async def fill_disk(bot: BotProcess, *, full: bool) -> None:
    """Let the disk be full for a bot's journal, or not any more."""
    await _post(bot, "disk", full=full)


async def set_clock(bot: BotProcess, *, ahead_secs: int) -> None:
    """Set a bot's clock, so far ahead of the true time."""
    await _post(bot, "clock", ahead_secs=ahead_secs)


async def _post(bot: BotProcess, what: str, **params: int) -> None:
    async with httpx.AsyncClient() as http:
        url = f"{bot.url}/soak/{what}"
        (await http.post(url, params=params, timeout=30)).raise_for_status()


async def look(bot: BotProcess, peers: Mapping[int, str]) -> Held:
    """See what a bot holds now.

    Args:
        bot: The bot.
        peers: Whom it may have connections to, by port.
    """
    async with httpx.AsyncClient() as http:
        answer = (await http.get(f"{bot.url}/soak/held", timeout=30)).json()
    proc = Path(f"/proc/{bot.process.pid}")
    status = dict(
        line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
    )
    times = (proc / "stat").read_text().rsplit(")", 1)[1].split()
    return Held(
        memory_mb=round(int(status["VmRSS"].split()[0]) / 1024, 1),
        cpu_secs=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        files=dict(_files(proc, peers)),
        native_threads=int(status["Threads"]),
        threads=_counted(answer["threads"]),
        tasks=_counted(answer["tasks"]),
        calls=answer["calls"],
    )


def _files(proc: Path, peers: Mapping[int, str]) -> Counter[str]:
    kinds = _socket_kinds(proc, peers)
    files: Counter[str] = Counter()
    for descriptor in (proc / "fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # closed since it was listed
            continue
        socket = re.fullmatch(r"socket:\[(\d+)\]", target)
        files[kinds.get(socket[1], "socket") if socket else target] += 1
    return files


def _socket_kinds(proc: Path, peers: Mapping[int, str]) -> dict[str, str]:
    """The kind of each socket, by inode. The tables are those of proc(5)."""
    kinds: dict[str, str] = {}
    for table in _SOCKET_TABLES:
        for line in (proc / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if table == "unix":
                kinds[fields[6]] = table
                continue
            peer = peers.get(int(fields[2].rsplit(":", 1)[1], 16))
            kinds[fields[9]] = f"{table} to the {peer}" if peer else table
    return kinds


def _counted(names: list[str]) -> dict[str, int]:
    """How often each name comes, without the numbers that tell one of a kind from another."""
    return dict(Counter(re.sub(r"[#_-]?\d+", "", name) for name in names))
