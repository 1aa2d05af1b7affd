"""What a process costs before its first call, and what its first caller waits for."""

import asyncio
import subprocess
import tempfile
import time
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Contender, Rival, Scaffold, Sonora, clean_environment
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.vendors import serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page

_START_TARGET = 0.7
_START = "process start to port"
_WARM = "process start to warm"
_IMPORT = "importing the bot's module"
_FIRST, _SECOND, _THIRD = (
    f"connecting to bot-ready, {which} call of a process" for which in ("first", "second", "third")
)
_FIRST_LIMIT = 1.2


async def measure(*, processes: int, beside: Rival = Scaffold) -> Measurement:
    """Start both bots by turns.

    Args:
        processes: How many of each, besides one that is not counted.
        beside: The other bot.
    """
    values: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with serving_vendors() as vendors:
            contenders: list[Contender] = [
                beside(Path(folder) / "rival"),
                Sonora(Path(folder) / "sonora"),
            ]
            for number in range(processes + 1):
                for contender in contenders if number % 2 else reversed(contenders):
                    taken = {_IMPORT: await asyncio.to_thread(_import_secs, contender)}
                    async with contender.running(vendors) as bot:
                        taken[_START] = bot.serving_after_secs
                        taken[_WARM] = bot.warm_after_secs
                        for call in (_FIRST, _SECOND, _THIRD):
                            taken[call] = await _connect_secs(bot)
                    if number:
                        for name, secs in taken.items():
                            of_both = values.setdefault(name, {})
                            of_both.setdefault(contender.name, []).append(secs)
                    shown = ", ".join(f"{secs * 1000:.0f}" for secs in taken.values())
                    logger.info(f"{contender.name}, process {number}: {shown} ms")
    return Measurement(
        title="Start",
        how="Both serve Pipecat's development runner. The port is there when it answers, and the "
        "process warm when a caller is let in: Sonora opens the port first, and holds callers back "
        "until it has imported and built what a call needs; the scaffold builds it in its first "
        "call.",
        figures=[
            Figure(
                name=name,
                unit="ms",
                values={bot: milliseconds(secs) for bot, secs in of_both.items()},
                target=_START_TARGET if name == _START else None,
            )
            for name, of_both in values.items()
        ]
        + [
            Figure(
                name="the same, first call to second",
                unit="times",
                values={
                    bot: [
                        round(first / second, 2)
                        for first, second in zip(secs, values[_SECOND][bot], strict=True)
                    ]
                    for bot, secs in values[_FIRST].items()
                },
                limit=_FIRST_LIMIT,
            )
        ],
    )


def _import_secs(contender: Contender) -> float:
    """How long a fresh interpreter takes to import a bot's module, in seconds."""
    program = (
        "import sys, time; started = time.perf_counter(); import bot; "
        "sys.stdout.write(str(time.perf_counter() - started)); sys.stdout.flush(); "
        # Not waiting for what it has begun in the background.
        "import os; os._exit(0)"
    )
    finished = subprocess.run(
        [contender.python, "-c", program],
        cwd=contender.bot_file.parent,
        env={**clean_environment(), "ENV": "local"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(finished.stdout)


async def _connect_secs(bot: BotProcess) -> float:
    """Connect, say client-ready, and time bot-ready, in seconds."""
    started_at = time.monotonic()
    async with page(bot.url) as client:
        await client.ready()
        elapsed = time.monotonic() - started_at
    await asyncio.sleep(0.5)
    return elapsed
