"""Turns by people and synthesisers, and every silence in them: a pause, or the end.

The kinds are those that the calls of `benchmarks.endpointing` are made of, with more turns of each.
Nobody is called here, so that hundreds of turns take a minute.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.asking import Asking
from benchmarks.kinds import ASKED, LONG, PAUSES, RECORDINGS, SHORT, spelt
from benchmarks.recordings import Colombian, Mexican, Volunteer
from benchmarks.speakers import Speaker
from benchmarks.utterance import Parts, Utterance, loudness
from simulators.clients.webrtc import MIC_RATE
from sonora_app.settings import Language
from sonora_app.turns.detectors import SmartTurn, build_smart_turn
from sonora_app.turns.endings.grammar import Ending
from sonora_app.turns.expectations.grammar import Expectations

_RATE = 16_000
"""In which smart-turn hears."""

_FRAME_SECS = 0.01
_SILENT = 0.03
"""How loud a silence is at most, as a part of the loudest: 30 dB less."""

_SHORTEST_SECS = 0.2
"""The shortest silence that counts, in seconds: smart-turn was not trained to judge any shorter."""

_KNOWN_SECS = 0.06
"""How much of a silence has been heard when smart-turn is asked, in seconds."""

_SLACK_SECS = 0.05
"""How much later than it is a word may seem to end, in seconds: the times are guessed."""

_EACH = 24
"""So many turns of a kind."""

_LETTERS = "abcdefghijlmnoprstuvz"


@dataclass(frozen=True)
class Silence:
    """A silence in a turn, and what is known when it begins.

    Parameters:
        secs: How long it lasts, in seconds; None: it is the end of the turn.
        probability: That it is the end, as smart-turn hears it.
        ending: How the words end. To some kinds of turns a question belongs: then as its answer.
        answering: The same where every turn that answers something comes after a question.
    """

    secs: float | None
    probability: float
    ending: Ending
    answering: Ending


@dataclass(frozen=True)
class Heard:
    """A turn as it is heard.

    Parameters:
        kind: Of what kind it is.
        speaker: Who says it.
        text: What they say.
        silences: In order; the last is the end.
    """

    kind: str
    speaker: str
    text: str
    silences: Sequence[Silence]

    @property
    def pauses(self) -> bool:
        """Whether there is a silence in it that is not the end."""
        return len(self.silences) > 1


async def heard(*, part: int = 1) -> AsyncIterator[Heard]:
    """Say every turn, and ask smart-turn in each of its silences.

    Args:
        part: One of so many turns has to do.

    Raises:
        VoiceMissingError: Not all who are to speak are installed.
    """
    smart_turn = build_smart_turn(stop_secs=3)
    smart_turn.set_sample_rate(_RATE)
    known: set[tuple[str, int]] = set()
    asking = Asking()
    for kind, asked, speaker, parts in _turns()[::part]:
        utterance = await speaker.say(*parts)
        sound = kind, hash(utterance.pcm.tobytes())
        if sound in known:  # some stamps share a recording, as the black king and the white
            continue
        known.add(sound)
        questions = asked, asked or asking.question(kind, utterance.text)
        silences = [each async for each in _judged(smart_turn, questions, utterance)]
        yield Heard(kind, speaker.name, utterance.text, silences)


def _turns() -> list[tuple[str, str, Speaker, Parts]]:
    """What is said: its kind, what was asked before, who says it, and what."""
    chance = Random(7)
    turns: list[tuple[str, str, Speaker, Parts]] = [
        (kind.name, kind.asked, speaker, parts)
        for kind in (*PAUSES, *SHORT, *ASKED, *LONG, *RECORDINGS)
        for parts in kind.turns
        for speaker in kind.speakers
    ]
    people = (Mexican(), Colombian())
    for number in range(_EACH):
        letters = "".join(chance.choices(_LETTERS, k=chance.randint(4, 6)))
        digits = "".join(chance.choices("0123456789", k=chance.randint(4, 7)))
        secs = chance.choice((0.4, 0.5, 0.6))
        turns += [
            ("a name spelt by a person", "", people[0], spelt("letters", letters, secs)),
            ("numbers dictated by a person", "", people[number % 2], spelt("digits", digits, secs)),
        ]
    return turns + _of_the_volunteer(chance)


def _of_the_volunteer(chance: Random) -> list[tuple[str, str, Speaker, Parts]]:
    """Sentences, things, lists and pauses of the woman who names Tux Paint's stamps."""
    volunteer, slower = Volunteer(), Volunteer(pause_secs=0.8)
    names = volunteer.names()
    things = [name for name in names if 2 <= len(volunteer.text(name).split()) <= 4]
    long = [name for name in names if len(volunteer.text(name).split()) >= 6]
    paused = [name for name in long if volunteer.pauses(name)]
    said: dict[str, Sequence[tuple[Speaker, Parts]]] = {
        "a sentence by a person": [
            (volunteer, (name,)) for name in chance.sample(sorted({*long} - {*paused}), _EACH)
        ],
        "a few words by a person": [(volunteer, (name,)) for name in chance.sample(things, _EACH)],
        "a person's own pause, drawn out to 0.8 s": [(slower, (name,)) for name in paused],
        **{
            f"a list by a person, with pauses of {secs} s": [
                (volunteer, (one, secs, two, secs, three))
                for one, two, three in (chance.sample(things, 3) for _ in range(_EACH))
            ]
            for secs in (0.5, 0.8)
        },
    }
    return [(kind, "", *each) for kind, those in said.items() for each in those]


async def _judged(
    smart_turn: SmartTurn, questions: tuple[str, str], utterance: Utterance
) -> AsyncIterator[Silence]:
    samples = np.asarray(soxr.resample(utterance.pcm, MIC_RATE, _RATE))
    samples = np.concatenate([samples, np.zeros(_RATE)]).astype(np.int16)
    answers = [Expectations(Language.ES, partial(str, question)) for question in questions]
    for start, secs in silences(utterance.pcm):
        smart_turn.clear()
        smart_turn.append_audio(
            samples[: int((start + _KNOWN_SECS) * _RATE)].tobytes(), is_speech=True
        )
        await smart_turn.foresee(_KNOWN_SECS)
        last = float("inf") if secs is None else start + _SLACK_SECS
        text = " ".join(word for word, end in utterance.words if end <= last)
        # As a recogniser writes it that is asked in a pause.
        ending, answering = (each.ending(f"{text.rstrip('.,;:…!')}.") for each in answers)
        yield Silence(secs, smart_turn.probability, ending, answering)


def silences(pcm: np.ndarray) -> list[tuple[float, float | None]]:
    """Where the silences in speech begin and how long they last, in seconds; the last is its end.

    Args:
        pcm: At the microphone's rate.
    """
    loud = loudness(pcm, _FRAME_SECS)
    voiced = np.flatnonzero(loud > loud.max() * _SILENT)
    gaps = (np.diff(voiced) - 1) * _FRAME_SECS
    pauses: list[tuple[float, float | None]] = [
        (float(voiced[place] + 1) * _FRAME_SECS, round(float(gaps[place]), 2))
        for place in np.flatnonzero(gaps >= _SHORTEST_SECS)
    ]
    return [*pauses, (float(voiced[-1] + 1) * _FRAME_SECS, None)]
