"""How long answers take when several people talk with one process at a time. Linux only.

The bots rehearse, so that nothing but their own work and the machine's counts. Everybody talks at
their own pace, as long as the others do.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
from loguru import logger

from benchmarks.contenders import SETTLED_SECS, Checkout, Sonora
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.resources import cpu_secs
from benchmarks.utterance import Utterance
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import Page, page

TARGET = 1.25
"""What the slowest twentieth of answers among many calls may be, as a ratio to that of one call."""

_SAID = (
    "Quiero viajar a Oaxaca en abril",
    "Busco un hotel cerca del centro",
    "Me gusta mucho la comida picante",
)
_ANSWERED_SECS = 15.0
_ROOM_NOISE = 10.0


@dataclass
class _Talk:
    """What came of calls at a time.

    Parameters:
        waits: From the end of what was said to the first sound of the answer, in seconds.
        unanswered: How many turns had no answer.
        cpu: The share of one processor that the bot's process took.
    """

    waits: list[float] = field(default_factory=list[float])
    unanswered: int = 0
    cpu: list[float] = field(default_factory=list[float])


async def measure(
    *, at_a_time: Sequence[int], turns: int, rounds: int, checkout: Path | None = None
) -> Measurement:
    """Have many people talk at a time with one process, then with the next.

    Args:
        at_a_time: How many, the first of which the others are compared with.
        turns: How often each speaks in a round.
        rounds: How often each number comes, the bots by turns.
        checkout: Another Sonora to measure beside this one.
    """
    said = [await Utterance.spoken(text) for text in _SAID]
    talks: dict[str, dict[int, _Talk]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bots = [Sonora(Path(folder) / "this")]
        if checkout is not None:
            bots.insert(0, Checkout(checkout, Path(folder) / "other"))
        async with AsyncExitStack() as stack:
            # Beyond what it would take by itself, since that is what is looked for.
            running = [
                (bot.name, await stack.enter_async_context(bot.rehearsing(SONORA_MAX_CALLS="99")))
                for bot in bots
            ]
            for round_number in range(rounds):
                for number in at_a_time:
                    # Each goes first as often as the other.
                    for name, bot in running if round_number % 2 else reversed(running):
                        talk = talks.setdefault(name, {}).setdefault(number, _Talk())
                        await _talk(bot, number, turns, said, talk)
                        waits = ", ".join(f"{secs * 1000:.0f}" for secs in sorted(talk.waits))
                        logger.info(f"{name}, {number} at a time: {waits} ms")
    return Measurement(
        title="Calls at a time: the wait for an answer",
        how="So many people talk at a time with one process that rehearses, each "
        f"{turns} turns at their own pace, {rounds} rounds. From the last voiced sound that a "
        "client sent to the first sound of the answer that it heard. The ratios below are those "
        f"of the 95th percentile among many to that of {at_a_time[0]}, and may be {TARGET:g}.",
        figures=list(_figures(talks, at_a_time)),
    )


async def _talk(
    bot: BotProcess, number: int, turns: int, said: Sequence[Utterance], talk: _Talk
) -> None:
    chance = random.Random(number)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(page(bot.url, noise=_ROOM_NOISE)) for _ in range(number)
        ]
        await asyncio.gather(*(_greeted(client) for client in clients))
        before, started_at = cpu_secs(bot), time.monotonic()
        pauses = [[chance.uniform(0.0, 2.0) for _ in range(turns)] for _ in clients]
        await asyncio.gather(
            *(_speak(client, of, said, talk) for client, of in zip(clients, pauses, strict=True))
        )
        talk.cpu.append((cpu_secs(bot) - before) / (time.monotonic() - started_at))


async def _greeted(client: Page) -> None:
    client.save_processor_time()
    await client.ready()
    await client.action("set_conversation_id", user_id=str(uuid4()))
    await client.event("node-changed", node="conversation", timeout_secs=60)
    await client.silence(SETTLED_SECS, timeout_secs=60)


async def _speak(
    client: Page, pauses: Sequence[float], said: Sequence[Utterance], talk: _Talk
) -> None:
    for turn, pause_secs in enumerate(pauses):
        await asyncio.sleep(pause_secs)
        utterance = said[turn % len(said)]
        client.microphone.say(utterance.pcm)
        async with asyncio.timeout(_ANSWERED_SECS):
            await client.microphone.said()
        ended_at = client.microphone.ended_at - utterance.tail_secs
        try:
            heard_at = await client.sound(since=ended_at, timeout_secs=_ANSWERED_SECS)
        except TimeoutError:
            talk.unanswered += 1
            continue
        talk.waits.append(heard_at - ended_at)
        await client.silence(SETTLED_SECS, timeout_secs=60)


def _figures(talks: dict[str, dict[int, _Talk]], at_a_time: Sequence[int]) -> list[Figure]:
    def slow(talk: _Talk) -> float:
        return float(np.percentile(talk.waits, 95)) if talk.waits else float("nan")

    figures: list[Figure] = []
    for number in at_a_time:
        of = {name: by_number[number] for name, by_number in talks.items()}
        waits = {name: milliseconds(talk.waits) for name, talk in of.items()}
        p95 = {name: milliseconds([slow(talk)]) for name, talk in of.items()}
        lost = {name: [float(talk.unanswered)] for name, talk in of.items()}
        cpu = {name: [float(round(100 * share)) for share in talk.cpu] for name, talk in of.items()}
        figures += [
            Figure(name=f"{number} at a time", unit="ms", values=waits),
            Figure(name=f"{number} at a time, 95th percentile", unit="ms", values=p95),
            Figure(name=f"{number} at a time, turns without an answer", unit="", values=lost),
            Figure(name=f"{number} at a time, processor", unit="%", values=cpu),
        ]
    for number in at_a_time[1:]:
        ratios = {
            name: [round(slow(by_number[number]) / slow(by_number[at_a_time[0]]), 2)]
            for name, by_number in talks.items()
        }
        figures.append(
            Figure(
                name=f"95th percentile, {number} at a time to {at_a_time[0]}",
                unit="",
                values=ratios,
                limit=TARGET,
            )
        )
    return figures
