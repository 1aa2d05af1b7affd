"""From the user's first word over the bot's to the bot's silence."""

import asyncio
import tempfile
from pathlib import Path

from loguru import logger

from benchmarks.contenders import SETTLED_SECS, both_running
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.turns import ANSWER_SECS, Utterance
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from tests.clients.webrtc import Page, page

_QUESTION = "Quiero viajar a Oaxaca en abril"
_LONG_ANSWER = (
    "Oaxaca en abril es un viaje muy bonito. Puedes empezar por el centro y sus mercados, seguir "
    "con las ruinas de la montaña, y terminar con unos días en la costa. Para comer hay mucho que "
    "elegir, desde el mole de las fondas hasta los restaurantes nuevos. Si quieres caminar, los "
    "pueblos de la sierra tienen senderos para todos, y guías que los conocen bien."
)
_INTERRUPTIONS = ("Espera un momento por favor", "Oye mejor hablemos de la playa")

_SPEAKING_SECS = 1.0
"""How long the bot has been speaking when it is interrupted."""

_PAUSE_SECS = 0.3
"""Silence longer than the bot's pauses between words: it has stopped."""

_TARGET = 0.8


async def measure(*, rounds: int) -> Measurement:
    """Interrupt both bots by turns.

    Args:
        rounds: How many calls each bot has, of two interruptions, besides one not counted.
    """
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with serving_vendors() as vendors, both_running(Path(folder), vendors) as bots:
            vendors.answers = {_QUESTION: _LONG_ANSWER}
            vendors.delay(REALISTIC)
            question = await Utterance.spoken(_QUESTION)
            interruptions = [await Utterance.spoken(text) for text in _INTERRUPTIONS]
            for number in range(rounds + 1):
                for contender, bot in bots if number % 2 else reversed(bots):
                    async with page(bot.url) as client:
                        await contender.join(client)
                        taken = [
                            await _interrupt(client, vendors, question, each)
                            for each in interruptions
                        ]
                    if number:
                        values.setdefault(contender.name, []).extend(taken)
                    shown = ", ".join(f"{secs * 1000:.0f}" for secs in taken)
                    logger.info(f"{contender.name}, call {number}: {shown} ms")
    return Measurement(
        title="Barge-in",
        how="From the first voiced sound of an interruption that the client sent, a second into a "
        "long answer, to the last sound of that answer that it heard.",
        figures=[
            Figure(
                name="user's first sound to silence",
                unit="ms",
                values={name: milliseconds(secs) for name, secs in values.items()},
                target=_TARGET,
            )
        ],
    )


async def _interrupt(
    client: Page, vendors: Vendors, question: Utterance, interruption: Utterance
) -> float:
    """Ask something, cut the answer off, and tell how long it went on, in seconds."""
    vendors.deepgram.expect(question.words)
    client.microphone.say(question.pcm)
    await client.microphone.said()
    await client.sound(since=client.microphone.ended_at, timeout_secs=ANSWER_SECS)
    await asyncio.sleep(_SPEAKING_SECS)
    vendors.deepgram.expect(interruption.words)
    client.microphone.say(interruption.pcm)
    await client.microphone.said()
    began_at = client.microphone.began_at + interruption.lead_secs
    # It may still be speaking; what is heard after the interruption answers it.
    await client.silence(SETTLED_SECS)
    await client.sound(since=client.microphone.ended_at + _PAUSE_SECS, timeout_secs=ANSWER_SECS)
    await client.silence(SETTLED_SECS)
    return _end_of_speech(client.sounds, began_at) - began_at


def _end_of_speech(sounds: list[float], since: float) -> float:
    """When the sound that goes on at `since` ends for longer than a pause between words."""
    last = max((moment for moment in sounds if moment <= since), default=since)
    for moment in sounds:
        if moment > since:
            if moment - last > _PAUSE_SECS:
                break
            last = moment
    return last
