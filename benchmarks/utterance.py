"""Something to say: sound for a microphone, and when each word of it is over."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.clients.speech import Spoken, spoken
from simulators.clients.webrtc import FRAME_SECS, LOUD, MIC_RATE

Parts = Sequence[str | float]
"""What to say, and the pauses between it in seconds."""

LOUDNESS = 3600.0
"""Of speech, as the root mean square of 16-bit samples where it is voiced: espeak-ng's."""

_VOICED = 0.1
"""How loud voiced sound is at least, as a part of the loudest."""

_LETTER = re.compile(r"\w")


@dataclass(frozen=True)
class Utterance:
    """Something to say.

    Parameters:
        pcm: As sound, at the microphone's rate.
        words: Its words, each with the seconds from its beginning to the word's end.
    """

    pcm: np.ndarray
    words: tuple[tuple[str, float], ...]

    @classmethod
    async def spoken(cls, *parts: str | float, voice: str = "es-419") -> "Utterance":
        """Texts, by espeak-ng, with the pauses between them that the numbers say, in seconds."""
        return cls.joined(
            [await spoken(part, voice=voice) if isinstance(part, str) else part for part in parts]
        )

    @classmethod
    def joined(cls, parts: Sequence[Spoken | float]) -> "Utterance":
        """Speech, with the pauses between that the numbers say, in seconds."""
        samples: list[np.ndarray] = []
        words: list[tuple[str, float]] = []
        secs = 0.0
        for part in parts:
            if isinstance(part, Spoken):
                said = part
                words += [(word, secs + end) for word, end in said.words]
            else:
                said = Spoken(np.zeros(int(part * MIC_RATE), np.int16), ())
            samples.append(said.samples)
            secs += len(said.samples) / MIC_RATE
        return cls(np.concatenate(samples), tuple(words))

    @property
    def text(self) -> str:
        """Its words."""
        return " ".join(word for word, _ in self.words)

    @property
    def lead_secs(self) -> float:
        """How much of the sound comes before its first voiced frame."""
        return float(self._voiced[0]) * FRAME_SECS

    @property
    def loudness(self) -> np.ndarray:
        """The root mean square of each of its frames."""
        return loudness(self.pcm, FRAME_SECS)

    @property
    def tail_secs(self) -> float:
        """From sending its last voiced frame to sending its last frame."""
        frames = math.ceil(len(self.pcm) / MIC_RATE / FRAME_SECS)
        return (frames - 1 - float(self._voiced[-1])) * FRAME_SECS

    @property
    def _voiced(self) -> np.ndarray:
        """The numbers of the frames that count as sound."""
        return np.flatnonzero(self.loudness > LOUD)


def loudness(samples: np.ndarray, frame_secs: float, *, rate: int = MIC_RATE) -> np.ndarray:
    """The root mean square of each whole frame of so many seconds."""
    size = int(rate * frame_secs)
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float32)
    return np.sqrt(np.mean(frames**2, axis=1))


def levelled(samples: np.ndarray) -> np.ndarray:
    """Speech, made as loud as `LOUDNESS`, as 16-bit samples at the microphone's rate."""
    frames = loudness(samples, FRAME_SECS)
    voiced = frames[frames > frames.max() * _VOICED]
    louder = samples * (LOUDNESS / math.sqrt(float(np.mean(voiced**2))))
    return np.clip(louder, -32_768, 32_767).astype(np.int16)


def spread(text: str, samples: np.ndarray) -> Spoken:
    """Speech of which nothing is known but its text: each word takes its part of the letters.

    Only voiced sound counts: a pause makes no word longer, nor does what dies away after the last.

    Args:
        text: What is said.
        samples: At the microphone's rate, from its first sound to its last.
    """
    words = text.split()
    letters = np.cumsum([max(1, len(_LETTER.findall(word))) for word in words])
    frames = loudness(samples, FRAME_SECS)
    voiced = np.flatnonzero(frames > frames.max() * _VOICED)
    lasts = voiced[np.ceil(letters / letters[-1] * len(voiced)).astype(int) - 1]
    ends = [float(last + 1) * FRAME_SECS for last in lasts]
    return Spoken(samples, tuple(zip(words, ends, strict=True)))
