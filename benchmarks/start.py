"""What the first caller of a process waits for, in rehearsal, over real WebRTC.

    uv run python -m benchmarks.start [--processes 5] [--greetings 10]

Measures, on this machine: a process's start to serving; connecting to bot-ready, for the first
call of a process and the ones after it; and `set_conversation_id` to the greeting, once as the
first audio frame leaves the bot (RTVI's bot-started-speaking) and once as sound is heard.
Prints a Markdown table, and JSON to standard output with `--json`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from uuid import uuid4

from tests.clients.bot_process import BotProcess, running_bot
from tests.clients.webrtc import page

_CALLS = 4
"""Calls per process: the first, and three to compare it with."""


async def connect_to_ready_secs(bot: BotProcess) -> float:
    """Connect, say client-ready, and time bot-ready, in seconds."""
    started = time.monotonic()
    async with page(bot.url) as client:
        await client.ready()
        return time.monotonic() - started


async def greeting_secs(bot: BotProcess) -> tuple[float, float]:
    """Open a conversation, and time the greeting leaving the bot and being heard, in seconds."""
    async with page(bot.url) as client:
        await client.ready()
        started = time.monotonic()
        client.send(
            "client-message",
            {
                "t": "action",
                "d": {"action": "set_conversation_id", "arguments": {"user_id": str(uuid4())}},
            },
        )
        left = await client.wait_for(lambda message: message["type"] == "bot-started-speaking")
        heard = await client.sound(since=started)
        return left["received_at"] - started, heard - started


async def measure(processes: int, greetings: int) -> dict[str, list[float]]:
    """Run everything; gives each figure's values in milliseconds."""
    figures: dict[str, list[float]] = {
        "process start to serving": [],
        "first call: connect to bot-ready": [],
        "second call: connect to bot-ready": [],
        "later calls: connect to bot-ready": [],
        "set_conversation_id to the greeting's first frame": [],
        "set_conversation_id to sound at the client": [],
    }

    def note(figure: str, secs: float) -> None:
        figures[figure].append(round(secs * 1000, 1))

    with tempfile.TemporaryDirectory() as folder:
        with running_bot(Path(folder) / "client") as bot:
            # The client, too, is slower in its first call: it is not what is measured.
            await connect_to_ready_secs(bot)
        for number in range(processes):
            with running_bot(Path(folder) / str(number), SONORA_WAITING_SECS="60") as bot:
                note("process start to serving", bot.ready_after_secs)
                for call in range(_CALLS):
                    figure = ("first call", "second call")[call] if call < 2 else "later calls"
                    note(f"{figure}: connect to bot-ready", await connect_to_ready_secs(bot))
                    await asyncio.sleep(0.5)
        with running_bot(Path(folder) / "greetings", SONORA_WAITING_SECS="60") as bot:
            for _ in range(greetings):
                left, heard = await greeting_secs(bot)
                note("set_conversation_id to the greeting's first frame", left)
                note("set_conversation_id to sound at the client", heard)
                await asyncio.sleep(0.5)
    return figures


def table(figures: dict[str, list[float]]) -> str:
    """The figures as Markdown: median, range and count."""
    rows = ["| figure | median ms | range ms | n |", "|---|---|---|---|"]
    for name, values in figures.items():
        rows.append(
            f"| {name} | {median(values):.0f} | {min(values):.0f}–{max(values):.0f} "
            f"| {len(values)} |"
        )
    first = figures["first call: connect to bot-ready"]
    second = figures["second call: connect to bot-ready"]
    rows.append(f"\nFirst call / second call: {median(first) / median(second):.2f}")
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--greetings", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.processes, arguments.greetings))
    sys.stdout.write((json.dumps(figures) if arguments.json else table(figures)) + "\n")


if __name__ == "__main__":
    main()
