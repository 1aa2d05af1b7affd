"""Speech for a microphone, made with espeak-ng."""

from dataclasses import dataclass

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

from simulators.clients.webrtc import MIC_RATE
from sonora_app.rehearsal.espeak import load_engine

_AUDIBLE = 200


@dataclass(frozen=True)
class Spoken:
    """Speech, without silence around it.

    Parameters:
        samples: 16-bit mono, at the microphone's rate.
        words: Its words, each with the seconds from its start to the word's last sound.
    """

    samples: np.ndarray
    words: tuple[tuple[str, float], ...]


async def speech(text: str, *, voice: str = "es-419") -> np.ndarray:
    """`text` spoken, as 16-bit mono samples at the microphone's rate, without silence around."""
    return (await spoken(text, voice=voice)).samples


async def spoken(text: str, *, voice: str = "es-419") -> Spoken:
    """`text` spoken, and when each word of it is over."""
    engine = load_engine()
    pieces = [piece async for piece in engine.speak(text, voice)]
    samples = np.frombuffer(b"".join(piece.audio for piece in pieces), dtype=np.int16)
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    first, last = audible[0], audible[-1]
    words = [word for piece in pieces for word in piece.words]
    starts = [int(secs * engine.sample_rate) for _, secs in words]
    ends = [audible[audible < start][-1] for start in starts[1:]] + [last]
    return Spoken(
        soxr.resample(samples[first : last + 1], engine.sample_rate, MIC_RATE),
        tuple(
            (text, float(end - first) / engine.sample_rate)
            for (text, _), end in zip(words, ends, strict=True)
        ),
    )
