"""What is said, or heard, while the bot speaks: whether it stops, and goes on.

Three kinds of sounds are made into a long answer, each in turn: words that take the turn, words
that only tell that somebody listens, and sounds without words.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from loguru import logger

from benchmarks.contenders import Rival, Scaffold
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.long_answers import (
    PAUSE_SECS,
    SPEAKING_SECS,
    answering,
    both_talking,
    say,
    went_on_secs,
)
from benchmarks.speakers import SYNTHESISERS
from benchmarks.utterance import LOUDNESS, Utterance
from benchmarks.vendors import Vendors
from simulators.clients.webrtc import MIC_RATE, Page, page

_ACKNOWLEDGEMENTS = ("Ajá", "Mhm", "Claro", "Sí", "Ok", "Sí claro", "Ya veo", "Vale")
_INTERRUPTIONS = (
    "Espera",
    "Para",
    "No no",
    "Oye mejor la playa",
    "No perdona otra cosa",
    "Un momento",
)
_VOICES = ("ejem", "ja ja ja", "eeeeh", "mmmmm")
"""Said by a synthesiser, and recognised as nothing: throats that are cleared, laughs, hums."""

_GOES_ON_SECS = 1.0
"""A sound is over when it is; the bot has so long from there to go on."""

_SILENT_SECS = 3.0
"""How long the bot is heard after a sound. Silent for the second half, it is so for good."""


@dataclass(frozen=True)
class _Outcome:
    """What a bot made of a sound.

    Parameters:
        asked: Whether the model was asked again.
        for_good: Whether it was silent from then on.
        goes_on_secs: From the end of the sound to the end of its longest pause; 0 without one.
        stopped_secs: From the sound's beginning to its silence, where the model was asked again;
            None: it was silent already.
    """

    asked: bool
    for_good: bool
    goes_on_secs: float
    stopped_secs: float | None


async def measure(*, rounds: int, beside: Rival = Scaffold) -> Measurement:
    """Make each of the sounds into what both bots say.

    Args:
        rounds: How many calls each bot has; in each, another speaker makes the sounds.
        beside: The other bot.
    """
    outcomes: dict[str, dict[str, list[_Outcome]]] = defaultdict(lambda: defaultdict(list))
    async with both_talking(beside) as (vendors, bots):
        for number in range(rounds):
            sounds = await _sounds(number)
            for contender, bot in bots if number % 2 else reversed(bots):
                async with page(bot.url) as client:
                    await contender.join(client)
                    for place, (kind, sound) in enumerate(sounds):
                        question = await SYNTHESISERS[0].say("Cuéntame algo más de Oaxaca")
                        await say(client, vendors, question)
                        outcome = await _made(
                            client, vendors, sound, SPEAKING_SECS[place % len(SPEAKING_SECS)]
                        )
                        outcomes[kind][contender.name].append(outcome)
                        logger.info(f"{contender.name}, {kind}, “{sound.text}”: {outcome}")
    return Measurement(
        title="Over the bot",
        how="A second or more into a long answer a sound is made. An acknowledgement, or a sound "
        "without words, stops the bot when the model is asked anew. The pause is from the end of "
        "the sound to where the bot goes on after its longest pause.",
        figures=[
            *_of_kind("an acknowledgement", outcomes),
            *_of_kind("a voice without words", outcomes),
            *_of_kind("a noise", outcomes),
            _taken(outcomes["an interruption"]),
            Figure(
                name="an interruption: user's first sound to silence",
                unit="ms",
                values={
                    name: milliseconds([each.stopped_secs for each in of if each.stopped_secs])
                    for name, of in outcomes["an interruption"].items()
                },
            ),
        ],
    )


async def _sounds(number: int) -> list[tuple[str, Utterance]]:
    """What is made in a call, by kinds, one kind after the other."""
    speaker = SYNTHESISERS[number % len(SYNTHESISERS)]
    kinds: dict[str, Sequence[Utterance]] = {
        "an acknowledgement": [await speaker.say(text) for text in _ACKNOWLEDGEMENTS],
        "an interruption": [await speaker.say(text) for text in _INTERRUPTIONS],
        "a voice without words": [Utterance((await speaker.say(text)).pcm, ()) for text in _VOICES],
        "a noise": [Utterance(noise, ()) for noise in _noises(np.random.default_rng(number))],
    }
    most = max(map(len, kinds.values()))
    return [
        (kind, each[place])
        for place in range(most)
        for kind, each in kinds.items()
        if place < len(each)
    ]


def _noises(chance: np.random.Generator) -> list[np.ndarray]:
    """A cough, knocks at a door, keys, and music."""
    secs = np.arange(MIC_RATE * 2) / MIC_RATE
    hiss = chance.normal(0, 1, len(secs))
    burst = np.exp(-(((secs - 0.15) / 0.08) ** 2)) + np.exp(-(((secs - 0.5) / 0.1) ** 2))
    throat = np.sign(np.sin(2 * np.pi * 140 * secs)) * 0.6
    cough = (hiss + throat) * burst * (secs < 0.8)
    knocks = _sum(
        np.exp(-np.maximum(0, secs - at) * 40) * np.sin(2 * np.pi * 180 * secs) * (secs >= at)
        for at in (0.0, 0.25, 0.5)
    )
    keys = _sum(
        np.exp(-np.maximum(0, secs - at) * 300) * hiss * (secs >= at)
        for at in np.cumsum(chance.uniform(0.08, 0.2, 8))
    )
    music = _sum(np.sin(2 * np.pi * tone * secs) for tone in (262, 330, 392, 523))
    return [
        (each / np.sqrt(np.mean(each[np.abs(each) > 0.1 * np.abs(each).max()] ** 2)) * LOUDNESS)
        .clip(-32_768, 32_767)
        .astype(np.int16)[: int(MIC_RATE * length)]
        for each, length in ((cough, 0.8), (knocks, 0.8), (keys, 1.6), (music, 2.0))
    ]


def _sum(sounds: Iterable[np.ndarray]) -> np.ndarray:
    return np.sum(list(sounds), axis=0)


async def _made(client: Page, vendors: Vendors, sound: Utterance, after_secs: float) -> _Outcome:
    """Wait for an answer, make a sound into it, and tell what came of it."""
    await answering(client, after_secs=after_secs)
    requests = len(vendors.openai.bodies)
    await say(client, vendors, sound)
    began_at = client.microphone.began_at + sound.lead_secs
    ended_at = client.microphone.ended_at - sound.tail_secs
    await asyncio.sleep(_SILENT_SECS)
    asked = len(vendors.openai.bodies) > requests
    sounds = [moment for moment in client.sounds if moment > began_at]
    pauses = [(after - before, after) for before, after in pairwise([began_at, *sounds])]
    silent_secs, again_at = max(pauses, default=(_SILENT_SECS, began_at))
    for_good = not sounds or time.monotonic() - sounds[-1] > _SILENT_SECS / 2
    return _Outcome(
        asked=asked,
        for_good=for_good,
        goes_on_secs=max(0.0, again_at - ended_at) if silent_secs > PAUSE_SECS else 0.0,
        stopped_secs=went_on_secs(client.sounds, began_at) if asked else None,
    )


def _of_kind(
    kind: str, outcomes: dict[str, dict[str, list[_Outcome]]]
) -> tuple[Figure, Figure, Figure]:
    taken = outcomes[kind]
    stops = {name: [_share([each.asked for each in of])] for name, of in taken.items()}
    for_good = {name: [_share([each.for_good for each in of])] for name, of in taken.items()}
    pauses = {
        name: milliseconds([each.goes_on_secs for each in of if not each.asked])
        for name, of in taken.items()
    }
    return (
        Figure(name=f"{kind}: stops the bot", unit="%", values=stops, limit=5.0),
        Figure(name=f"{kind}: silent for good", unit="%", values=for_good, limit=0.0),
        Figure(
            name=f"{kind}: until it goes on", unit="ms", values=pauses, limit=_GOES_ON_SECS * 1000
        ),
    )


def _taken(taken: dict[str, list[_Outcome]]) -> Figure:
    values = {name: [_share([each.asked for each in of])] for name, of in taken.items()}
    return Figure(name="an interruption: taken for one", unit="%", values=values)


def _share(those: Sequence[bool]) -> float:
    return round(100 * sum(those) / len(those), 1) if those else 0.0
