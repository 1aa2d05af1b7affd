"""How many calls this machine holds at a time with answers as quick as those of one call.

`sonora doctor --calls` runs this, and reads the lines of JSON that it writes: one for each number
of calls that was tried.

    uv run python -m benchmarks.capacity

The bot rehearses. Everybody speaks into its answers as soon as they begin, so that each wait takes
some seconds only. The callers take processor time as well, so that a bot by itself holds more.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import numpy as np

from benchmarks.contenders import Sonora
from benchmarks.ending import end_by_signals
from benchmarks.utterance import Utterance
from simulators.clients.webrtc import Page, page
from sonora_app.doctor.capacity import Tried

NUMBERS = (1, 4, 6, 8, 10, 12, 16)
WAITS = 10
"""How many waits at least are measured of each number."""

LONGEST_SECS = 80.0
"""After so long no greater number is begun."""

_SAID = (
    "Quiero viajar a Oaxaca en abril",
    "Busco un hotel cerca del centro",
    "Me gusta mucho la comida picante",
)
_ROOM_NOISE = 10.0
_ANSWERED_SECS = 6.0
_LISTENED_SECS = 0.6


async def measure(
    numbers: Sequence[int] = NUMBERS, *, waits: int = WAITS, longest_secs: float = LONGEST_SECS
) -> AsyncGenerator[Tried]:
    """Hold more and more calls, until their answers come too late or the time is over.

    Args:
        numbers: How many calls at a time, rising; the first is what the others are compared with.
        waits: How many waits at least are measured of each number.
        longest_secs: After so long no greater number is begun, in seconds.
    """
    said = [await Utterance.spoken(text) for text in _SAID]
    began_at = time.monotonic()
    alone = 0.0
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bot = await stack.enter_async_context(
            Sonora(Path(folder)).rehearsing(SONORA_MAX_CALLS=str(numbers[-1]))
        )
        clients: list[Page] = []
        for number in numbers:
            if clients and time.monotonic() - began_at > longest_secs:
                return
            before = len(clients)
            for _ in range(number - before):
                clients.append(await stack.enter_async_context(page(bot.url, noise=_ROOM_NOISE)))
            await asyncio.gather(*(_join(client) for client in clients[before:]))
            turns = -(-waits // number)
            measured = await asyncio.gather(
                *(_speak(client, order, turns, said) for order, client in enumerate(clients))
            )
            answered = [secs for of_one in measured for secs in of_one]
            p95 = float(np.percentile(answered, 95)) if answered else _ANSWERED_SECS
            alone = alone or p95
            tried = Tried(
                calls=number,
                p95_ms=round(1000 * p95),
                ratio=round(p95 / alone, 2),
                unanswered=number * turns - len(answered),
            )
            yield tried
            if not tried.holds:
                return


async def _join(client: Page) -> None:
    await client.ready()
    await client.action("set_conversation_id", user_id=str(uuid4()))
    await client.event("node-changed", node="conversation", timeout_secs=60)


async def _speak(client: Page, order: int, turns: int, said: Sequence[Utterance]) -> list[float]:
    """How long each answer was waited for; of a turn without one there is nothing."""
    waits: list[float] = []
    # Not all at once.
    await asyncio.sleep(order * 0.35)
    for turn in range(turns):
        utterance = said[turn % len(said)]
        client.microphone.say(utterance.pcm)
        await client.microphone.said()
        ended_at = client.microphone.ended_at - utterance.tail_secs
        try:
            heard_at = await client.sound(since=ended_at, timeout_secs=_ANSWERED_SECS)
        except TimeoutError:
            continue
        waits.append(heard_at - ended_at)
        await asyncio.sleep(_LISTENED_SECS)
    return waits


async def _main() -> None:
    async with aclosing(measure()) as steps:
        async for tried in steps:
            sys.stdout.write(json.dumps(asdict(tried)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    end_by_signals()
    asyncio.run(_main())
