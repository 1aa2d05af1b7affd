"""Who says what the bots are measured by: synthesisers that sound unlike each other.

People are in `benchmarks.recordings`.
"""

import importlib
from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.utterance import Utterance, levelled, spread
from simulators.clients.speech import Spoken, spoken
from simulators.clients.webrtc import MIC_RATE

_PICO_RATE = 16_000
_AUDIBLE = 200


class VoiceMissingError(RuntimeError):
    """A voice is not installed. The message says how to install it."""


class Speaker(ABC):
    """Somebody who can say things.

    Attributes:
        name: What they are called in a report.
    """

    name: str

    @abstractmethod
    async def say(self, *parts: str | float) -> Utterance:
        """Speak.

        Args:
            *parts: What to say, and the pauses between it in seconds.

        Raises:
            VoiceMissingError: The voice is not installed.
        """


class Espeak(Speaker):
    """espeak-ng, which makes speech from formants.

    Args:
        voice: The name of one of its voices.
        rate: How much faster than usual, and as much higher.
    """

    def __init__(self, voice: str, *, rate: float = 1.0) -> None:
        """Set up; the engine is loaded with the first word."""
        self.name = f"espeak-ng {voice}{f' at {rate:g}' if rate != 1 else ''}"
        self._voice = voice
        self._rate = rate

    async def say(self, *parts: str | float) -> Utterance:
        """Speak, with the word times that the engine tells."""
        return Utterance.joined(
            [await self._part(part) if isinstance(part, str) else part for part in parts]
        )

    async def _part(self, text: str) -> Spoken:
        said = await spoken(text, voice=self._voice)
        samples = soxr.resample(said.samples, MIC_RATE * self._rate, MIC_RATE)
        words = tuple((word, end / self._rate) for word, end in said.words)
        return Spoken(levelled(samples), words)


class Pico(Speaker):
    """SVOX Pico, which makes speech from models of a person's, and tells no word times.

    Each part is spoken by itself, so that its end is exact; see `spread` for the words in it.

    Args:
        pace: How fast, in percent of the usual.
        pitch: How high, in percent of the usual.
    """

    def __init__(self, *, pace: int = 100, pitch: int = 100) -> None:
        """Set up; the engine is loaded with the first word."""
        unusual = [f"pace {pace}"] * (pace != 100) + [f"pitch {pitch}"] * (pitch != 100)
        self.name = ", ".join(["Pico", *unusual])
        self._tags = f'<speed level="{pace}"><pitch level="{pitch}">', "</pitch></speed>"

    async def say(self, *parts: str | float) -> Utterance:
        """Speak, with word times that are guessed within each part."""
        return Utterance.joined(
            [self._part(part) if isinstance(part, str) else part for part in parts]
        )

    def _part(self, text: str) -> Spoken:
        made: bytes = _pico().speak(text.join(self._tags))
        samples = np.frombuffer(made, np.int16)
        audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
        samples = samples[audible[0] : audible[-1] + 1].astype(np.float32)
        return spread(text, levelled(soxr.resample(samples, _PICO_RATE, MIC_RATE)))


@cache
def _pico() -> Any:  # noqa: ANN401  # ttspico has no types
    try:
        return importlib.import_module("ttspico").TtsEngine("es-ES")
    except ImportError:
        raise VoiceMissingError(
            "SVOX Pico is not installed: uv sync --group bench (needs a C compiler)"
        ) from None


SYNTHESISERS: tuple[Speaker, ...] = (
    Espeak("es-419"),
    Pico(),
    Espeak("es+m3", rate=0.9),
    Pico(pace=80, pitch=80),
    Espeak("es-419+f2", rate=1.12),
    Pico(pace=120, pitch=130),
)
"""Those who take turns in what no recording has."""
