"""Bots that answer whatever is said at length, so that something can be said into it."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.contenders import Contender, Rival, both_running
from benchmarks.turns import ANSWER_SECS
from benchmarks.utterance import Utterance
from benchmarks.vendors import GREETING, REALISTIC, Vendors, serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import Page

_LONG_ANSWER = (
    "Oaxaca en abril es un viaje muy bonito. Puedes empezar por el centro y sus mercados, seguir "
    "con las ruinas de la montaña, y terminar con unos días en la costa. Para comer hay mucho que "
    "elegir, desde el mole de las fondas hasta los restaurantes nuevos. Si quieres caminar, los "
    "pueblos de la sierra tienen senderos para todos, y guías que los conocen bien."
)

SPEAKING_SECS = (1.0, 1.13, 1.26, 1.39, 1.52)
"""How long the bot has been speaking when something is said, each in turn: it pauses between words,
and where it would have been silent anyway it seems to have stopped at once."""

PAUSE_SECS = 0.3
"""Silence longer than the bot's pauses between words: it has stopped."""


@asynccontextmanager
async def both_talking(
    beside: Rival,
) -> AsyncGenerator[tuple[Vendors, list[tuple[Contender, BotProcess]]]]:
    """Run both bots, as `both_running`, with a model that answers everything at length.

    Args:
        beside: Makes the rival.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            # Nothing was said yet when it greets.
            vendors.answers = {"": GREETING}
            vendors.otherwise = _LONG_ANSWER
            vendors.delay(REALISTIC)
            yield vendors, bots


async def say(client: Page, vendors: Vendors, utterance: Utterance) -> None:
    """Say something, and have it recognised."""
    vendors.deepgram.expect(utterance.words, utterance.loudness)
    client.microphone.say(utterance.pcm)
    await client.microphone.said()


async def answering(client: Page, *, after_secs: float) -> None:
    """Wait for an answer, until the bot has been speaking for so many seconds."""
    await client.sound(since=client.microphone.ended_at + PAUSE_SECS, timeout_secs=ANSWER_SECS)
    await asyncio.sleep(after_secs)


def went_on_secs(sounds: list[float], since: float) -> float | None:
    """How long the sound at `since` goes on, until a silence longer than between words."""
    before = [moment for moment in sounds if moment <= since]
    if not before or since - before[-1] > PAUSE_SECS:
        return None
    last = before[-1]
    for moment in sounds[len(before) :]:
        if moment - last > PAUSE_SECS:
            break
        last = moment
    return max(0.0, last - since)
