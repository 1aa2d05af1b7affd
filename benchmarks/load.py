"""What many calls at a time, many in a row, and a long one cost. Linux only, as `resources.py`."""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
from loguru import logger

from benchmarks.contenders import Contender, Rival, Scaffold, Sonora, both_running
from benchmarks.figures import SONORA, Figure, Measurement, milliseconds
from benchmarks.resources import resident_mb
from benchmarks.vendors import NONE, Vendors, serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page

AT_A_TIME = (1, 4, 8)

_PATIENCE_SECS = 30.0
_CLOSED_SECS = 0.5
_TEN_MINUTES = 40
"""Turns. Half an hour has some 120."""
_WRITTEN_SECS = 0.1
"""How long an answer takes from the model to where the next request is made of it."""
_PART = 20
"""How many turns make the beginning and the end of a long call."""


async def measure_simultaneous(*, beside: Rival = Scaffold) -> Measurement:
    """Have several callers greeted at a time, and read what memory each bot holds meanwhile.

    Args:
        beside: The other bot.
    """
    held: dict[int, dict[str, list[float]]] = {number: {} for number in AT_A_TIME}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            vendors.delay(NONE)
            for number in AT_A_TIME:
                for contender, bot in bots:
                    held[number][contender.name] = [await _held_by(contender, bot, number)]
                    logger.info(f"{contender.name}, {number} at a time: {held[number]}")
    return Measurement(
        title="Memory: calls at a time",
        how="Resident memory of the bot's process while so many callers, who came at once, have "
        "been greeted and are still there; fewer before more, in one process.",
        figures=[
            Figure(name=f"{number} at a time", unit="MB", values=held[number])
            for number in AT_A_TIME
        ],
    )


async def _held_by(contender: Contender, bot: BotProcess, number: int) -> float:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(page(bot.url)) for _ in range(number)]
        await asyncio.gather(*(contender.join(client) for client in clients))
        held = resident_mb(bot)
    await asyncio.sleep(_CLOSED_SECS)
    return held


async def measure_many(*, calls: int) -> Measurement:
    """Call Sonora again and again, and see whether its memory grows.

    Args:
        calls: How many calls, one after another. The scaffold is left out: at what it grows by a
            call (`resources.py`), the machine would not hold it.
    """
    held: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        sonora = Sonora(Path(folder))
        async with serving_vendors() as vendors, sonora.running(vendors) as bot:
            vendors.delay(NONE)
            for number in range(calls):
                async with page(bot.url) as client:
                    asked_at = await sonora.open(client)
                    await client.sound(since=asked_at, timeout_secs=_PATIENCE_SECS)
                await asyncio.sleep(_CLOSED_SECS)
                held.append(resident_mb(bot))
                if number % 20 == 0:
                    logger.info(f"after call {number + 1}: {held[-1]:.0f} MB")
    late = held[calls // 2 :]
    slope, level = np.polyfit(range(len(late)), late, 1)
    noise = float(np.std(np.array(late) - (slope * np.arange(len(late)) + level)))
    return Measurement(
        title=f"Memory: {calls} calls",
        how="Resident memory of the bot's process after each of so many calls in a row, each "
        "greeted and gone; the slope is a line's through the second half.",
        figures=[
            Figure(name="after the first", unit="MB", values={SONORA: held[:1]}),
            Figure(name="after the last", unit="MB", values={SONORA: held[-1:]}),
            Figure(name="slope, per call", unit="MB", values={SONORA: [round(float(slope), 3)]}),
            Figure(name="noise around it", unit="MB", values={SONORA: [round(noise, 1)]}),
        ],
        series={SONORA: held},
    )


async def measure_long(*, turns: int, beside: Rival = Scaffold) -> Measurement:
    """Talk with both bots in one call for as many turns as half an hour has.

    Args:
        turns: How many, typed and answered aloud, each as soon as the answer before is heard.
        beside: The other bot.
    """
    figures: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            vendors.delay(NONE)
            vendors.otherwise = "Muy bien."
            for contender, bot in bots:
                taken = await _long_call(contender, bot, vendors, turns)
                for name, values in taken.items():
                    figures.setdefault(name, {})[contender.name] = values
                logger.info(f"{contender.name}: {turns} turns")
    units = {"wait": "ms", "prompt": "kB", "memory": "MB"}
    return Measurement(
        title=f"A long call: {turns} turns",
        how="One call in fast time, with vendors that take no time: typed turns, answered aloud. "
        "The wait is from the text to the first sound of the answer; the prompt is the request to "
        "the model.",
        figures=[
            Figure(name=name, unit=units[name.split(",")[0]], values=values)
            for name, values in figures.items()
        ],
    )


async def _long_call(
    contender: Contender, bot: BotProcess, vendors: Vendors, turns: int
) -> dict[str, list[float]]:
    waits: list[float] = []
    held: list[float] = []
    async with page(bot.url) as client:
        await contender.join(client)
        asked = len(vendors.openai.bodies)
        for number in range(turns):
            await client.silence(0.5)
            typed_at = time.monotonic()
            client.type_text(f"Te cuento la parte número {number} de mi viaje a Oaxaca en abril.")
            heard_at = await client.sound(since=typed_at, timeout_secs=_PATIENCE_SECS)
            waits.append(heard_at - typed_at)
            held.append(resident_mb(bot))
        bodies = [body for body in vendors.openai.bodies[asked:] if body.get("stream")]
    prompts = [round(len(str(body["messages"])) / 1000, 1) for body in bodies]
    return {
        f"wait, first {_PART} turns": milliseconds(waits[:_PART]),
        f"wait, last {_PART} turns": milliseconds(waits[-_PART:]),
        "prompt, first turn": prompts[:1],
        "prompt, last turn": prompts[-1:],
        f"memory, first {_PART} turns": held[:_PART],
        f"memory, last {_PART} turns": held[-_PART:],
    }


async def measure_prompts(*, turns: int, beside: Rival = Scaffold) -> Measurement:
    """Write to Sonora for as many turns as two hours have, and see how long the prompt gets.

    Args:
        turns: How many, answered in writing.
        beside: The other bot.
    """
    prompts: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            vendors.delay(NONE)
            vendors.otherwise = "Muy bien."
            for contender, bot in bots:
                # The scaffold takes a call in which nothing is spoken for one that is over.
                if isinstance(contender, Scaffold):
                    continue
                prompts[contender.name] = await _written_call(contender, bot, vendors, turns)
                logger.info(f"{contender.name}: {turns} turns")
    return Measurement(
        title=f"The prompt of a call of {turns} turns",
        how="One call in writing, in fast time: the largest request to the model, without its "
        f"functions. Ten minutes have {_TEN_MINUTES} turns.",
        figures=[
            Figure(
                name=name,
                unit="kB",
                values={bot: [max(sizes[:part])] for bot, sizes in prompts.items()},
            )
            for name, part in (
                ("largest prompt, ten minutes", _TEN_MINUTES),
                ("largest prompt, half an hour", 3 * _TEN_MINUTES),
                ("largest prompt, the whole call", turns),
            )
        ],
    )


async def _written_call(
    contender: Contender, bot: BotProcess, vendors: Vendors, turns: int
) -> list[float]:
    """How large each request to the model is, in kB."""
    async with page(bot.url) as client:
        await contender.join(client)
        asked = len(vendors.openai.bodies)
        for number in range(turns):
            answered = len(vendors.openai.log.of("answered"))
            client.type_text(
                f"Te cuento la parte número {number} de mi viaje a Oaxaca en abril.",
                audio_response=False,
            )
            await vendors.openai.log.wait_for("answered", answered + 1, timeout_secs=_PATIENCE_SECS)
            await asyncio.sleep(_WRITTEN_SECS)
        bodies = [body for body in vendors.openai.bodies[asked:] if body.get("stream")]
    return [round(len(str(body["messages"])) / 1000, 1) for body in bodies]
