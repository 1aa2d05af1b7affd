"""From the user's first word over the bot's to the bot's silence."""

import asyncio
import tempfile
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Rival, Scaffold, both_running
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.turns import ANSWER_SECS
from benchmarks.utterance import Utterance
from benchmarks.vendors import GREETING, REALISTIC, Vendors, serving_vendors
from simulators.clients.network import Network
from simulators.clients.webrtc import Page, page

LONG_ANSWER = (
    "Oaxaca en abril es un viaje muy bonito. Puedes empezar por el centro y sus mercados, seguir "
    "con las ruinas de la montaña, y terminar con unos días en la costa. Para comer hay mucho que "
    "elegir, desde el mole de las fondas hasta los restaurantes nuevos. Si quieres caminar, los "
    "pueblos de la sierra tienen senderos para todos, y guías que los conocen bien."
)
_INTERRUPTIONS = (
    "Espera un momento por favor",
    "Oye mejor hablemos de la playa",
    "No perdona quería decir otra cosa",
    "Disculpa tengo otra pregunta",
    "Vale ya lo tengo muchas gracias",
)

SPEAKING_SECS = (1.0, 1.13, 1.26, 1.39, 1.52)
"""How long the bot has been speaking when it is interrupted, each in turn: it pauses between words,
and where it would have been silent anyway it seems to have stopped at once."""

PAUSE_SECS = 0.3
"""Silence longer than the bot's pauses between words: it has stopped."""

_TARGET = 0.8


async def measure(
    *, rounds: int, network: Network | None = None, beside: Rival = Scaffold
) -> Measurement:
    """Interrupt both bots by turns.

    Args:
        rounds: How many calls each bot has.
        network: The way between client and bot; None: as it is.
        beside: The other bot.
    """
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            # Nothing was said yet when it greets; whatever is said is answered at length.
            vendors.answers = {"": GREETING}
            vendors.otherwise = LONG_ANSWER
            vendors.delay(REALISTIC)
            interruptions = [await Utterance.spoken(text) for text in _INTERRUPTIONS]
            for number in range(rounds):
                for contender, bot in bots if number % 2 else reversed(bots):
                    async with page(bot.url, network=network) as client:
                        await contender.join(client)
                        await _say(client, vendors, interruptions[0])
                        taken = [
                            await _interrupt(client, vendors, each, after_secs=secs)
                            for each, secs in zip(
                                (interruptions[-1], *interruptions),
                                (SPEAKING_SECS[-1], *SPEAKING_SECS),
                                strict=True,
                            )
                        ]
                    cut_off = [secs for secs in taken[1:] if secs is not None]
                    values.setdefault(contender.name, []).extend(cut_off)
                    shown = ", ".join(f"{secs * 1000:.0f}" for secs in cut_off)
                    logger.info(f"{contender.name}, call {number + 1}: {shown} ms")
    return Measurement(
        title=f"Barge-in ({network})" if network else "Barge-in",
        how="From the first voiced sound of an interruption that the client sent, a second or "
        "more into a long answer, to the last sound of that answer that it heard.",
        figures=[
            Figure(
                name="user's first sound to silence",
                unit="ms",
                values={name: milliseconds(secs) for name, secs in values.items()},
                target=_TARGET,
            )
        ],
    )


async def _say(client: Page, vendors: Vendors, utterance: Utterance) -> None:
    vendors.deepgram.expect(utterance.words, utterance.loudness)
    client.microphone.say(utterance.pcm)
    await client.microphone.said()


async def _interrupt(
    client: Page, vendors: Vendors, interruption: Utterance, *, after_secs: float
) -> float | None:
    """Wait for an answer, cut it off, and tell how long it went on, in seconds.

    None where the bot was silent as the interruption began, so that there was nothing to cut off.
    """
    await client.sound(since=client.microphone.ended_at + PAUSE_SECS, timeout_secs=ANSWER_SECS)
    await asyncio.sleep(after_secs)
    await _say(client, vendors, interruption)
    began_at = client.microphone.began_at + interruption.lead_secs
    # What it says from here on answers the interruption.
    await client.silence(PAUSE_SECS)
    return went_on_secs(client.sounds, began_at)


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
