"""From the end of the user's speech to the first sound of the answer, at the client's ear."""

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Contender, Rival, Scaffold, both_running
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.resources import cpu_secs
from benchmarks.turns import PARTS, Turn, take_turn
from benchmarks.utterance import Utterance
from benchmarks.vendors import Delays, Vendors, serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.browser_page import BrowserPage, browser_page
from simulators.clients.network import Network
from simulators.clients.webrtc import Page, page

ANSWERS = {
    "Quiero viajar a Oaxaca en abril": "Claro, Oaxaca en abril es muy bonita. ¿Cuántos días?",
    "Busco un hotel cerca del centro": "En el centro hay varios hoteles buenos. ¿Cuál prefieres?",
    "Prefiero viajar por la mañana temprano": "Perfecto, buscamos algo temprano. ¿Vas en avión?",
    "Me gusta mucho la comida picante": "Allí la comida es famosa por el mole. ¿Lo has probado?",
    "Necesito un coche para dos semanas": "De acuerdo, miremos qué hay. ¿Para cuántas personas?",
}
"""What is said, and what the model answers: some answers begin with a short clause."""

_NAME = "voice to voice"
_CPU_TARGET = 0.8

ROOM_NOISE = 10.0
"""Of a quiet room, 70 dB below the loudest: bots have to listen to it like to anything else."""


@dataclass
class Calls:
    """What was measured of one bot.

    Parameters:
        turns: The turns that count.
        cpu: Processor seconds per minute, of each call.
    """

    turns: list[Turn] = field(default_factory=list[Turn])
    cpu: list[float] = field(default_factory=list[float])


async def measure(
    delays: Delays,
    *,
    rounds: int,
    target: float,
    network: Network | None = None,
    in_browser: bool = False,
    beside: Rival = Scaffold,
) -> Measurement:
    """Talk with both bots by turns, a call each, and time every answer.

    Args:
        delays: What the vendors take for themselves.
        rounds: How many calls each bot has.
        target: The ratio that Sonora may have at most.
        network: The way between a client of aiortc and the bot; None: as it is.
        in_browser: Whether the client is Chromium instead.
        beside: The other bot.
    """

    def client(bot: BotProcess) -> AbstractAsyncContextManager[Page | BrowserPage]:
        if in_browser:
            return browser_page(bot.url, noise=ROOM_NOISE)
        return page(bot.url, network=network, noise=ROOM_NOISE)

    of_client = (delays, network, "in Chromium" if in_browser else None)
    calls: dict[str, Calls] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            vendors.answers = ANSWERS
            vendors.delay(delays)
            utterances = [await Utterance.spoken(text) for text in ANSWERS]
            for number in range(rounds):
                # Each goes first as often as the other.
                for contender, bot in bots if number % 2 else reversed(bots):
                    taken, cpu = await talk(contender, bot, vendors, utterances, client)
                    of_bot = calls.setdefault(contender.name, Calls())
                    of_bot.turns += taken
                    of_bot.cpu.append(round(cpu, 2))
                    shown = "; ".join(str(turn) for turn in taken)
                    logger.info(f"{contender.name}, call {number + 1}: {shown}")
    return Measurement(
        title=f"Voice to voice ({'; '.join(str(each) for each in of_client if each)})",
        how="From the last voiced sound that the client sent to the first sound of the answer "
        f"that it heard. {rounds} calls of {len(ANSWERS)} turns with each bot, in turn; one turn "
        "before those of a call is not counted. The client is in a room that is quiet, but not "
        "digitally so. Processor time is that of the bot's process in "
        "these calls; each logs as it comes, the scaffold at DEBUG and Sonora at INFO.",
        figures=_figures(calls, target),
        traces={name: _trace(of_bot.turns) for name, of_bot in calls.items()},
    )


async def talk(
    contender: Contender,
    bot: BotProcess,
    vendors: Vendors,
    utterances: list[Utterance],
    client: Callable[[BotProcess], AbstractAsyncContextManager[Page | BrowserPage]],
) -> tuple[list[Turn], float]:
    """A call: its turns but the first, and its processor seconds per minute."""
    async with client(bot) as caller:
        await contender.join(caller)
        before, started_at = cpu_secs(bot), time.monotonic()
        taken = [
            await take_turn(caller, vendors, utterance)
            for utterance in (utterances[0], *utterances)
        ]
        used, elapsed = cpu_secs(bot) - before, time.monotonic() - started_at
    return taken[1:], used / elapsed * 60


def _figures(calls: dict[str, Calls], target: float) -> list[Figure]:
    turns = {name: of_bot.turns for name, of_bot in calls.items()}
    # A turn that was cut in two has no end of speech to count from.
    whole = {name: [turn for turn in taken if not turn.cut] for name, taken in turns.items()}
    total = Figure(
        name=_NAME,
        unit="ms",
        values={n: milliseconds([t.total_secs for t in taken]) for n, taken in whole.items()},
        target=target,
    )
    parts = [
        Figure(
            name=part,
            unit="ms",
            values={
                name: milliseconds([turn.parts_secs[part] for turn in taken])
                for name, taken in whole.items()
            },
            part_of=_NAME,
        )
        for part in PARTS
    ]
    counts = {
        "requests to the model per turn": {
            name: [float(turn.requests) for turn in taken] for name, taken in turns.items()
        },
        "turns answered before they had ended": {
            name: [float(sum(turn.cut for turn in taken))] for name, taken in turns.items()
        },
    }
    told = Figure(
        name="`turn-latency` as sent to the page, less the same as measured here",
        unit="ms",
        values={
            name: milliseconds([t.told_secs - t.own_secs for t in taken if t.told_secs is not None])
            for name, taken in whole.items()
            if any(turn.told_secs is not None for turn in taken)
        },
    )
    return [
        total,
        *parts,
        told,
        *(Figure(name=name, unit="", values=values) for name, values in counts.items()),
        Figure(
            name="CPU seconds per minute of conversation",
            unit="s",
            values={name: of_bot.cpu for name, of_bot in calls.items()},
            target=_CPU_TARGET,
        ),
    ]


def _trace(turns: list[Turn]) -> dict[str, float]:
    """The turn in the middle, by its total."""
    ordered = sorted((turn for turn in turns if not turn.cut), key=lambda turn: turn.total_secs)
    middle = ordered[len(ordered) // 2]
    return dict(zip(PARTS, milliseconds(list(middle.marks_secs)), strict=True))
