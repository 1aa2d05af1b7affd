"""Tells by the sound which sentence was said, if enough of it was heard.

Sound is compared by its loudness over time, which a codec and a change of rate leave as it is.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import utterance

_HOP_SECS = 0.02
_ALIKE = 0.75
"""The correlation of loudness from which on two sounds are taken for the same."""

_SHORTEST_SECS = 0.3
"""The least that has to overlap for two sounds to be compared."""

_ENOUGH = 0.5
"""How much of a sentence has to be heard, as a share of it, to be understood."""


def loudness(samples: np.ndarray, rate: int) -> np.ndarray:
    """The loudness of mono samples, in steps of 20 ms."""
    return utterance.loudness(samples, _HOP_SECS, rate=rate)


@dataclass(frozen=True)
class Match:
    """How a sound was found in a sentence.

    Parameters:
        alike: The correlation, from -1 to 1.
        share: How much of the sentence it is.
    """

    alike: float
    share: float

    @property
    def is_same(self) -> bool:
        """Whether the sound is of this sentence."""
        return self.alike >= _ALIKE

    @property
    def is_enough(self) -> bool:
        """Whether it is enough of it to be understood; of two parts at most one is."""
        return self.share > _ENOUGH


def find(heard: np.ndarray, said: np.ndarray) -> Match:
    """Find the loudness of what was heard in that of a sentence.

    Args:
        heard: A stretch of sound, perhaps of a part of the sentence, with silence after it.
        said: The sentence.
    """
    shortest = int(_SHORTEST_SECS / _HOP_SECS)
    best = Match(-1.0, 0.0)
    for lag in range(-len(heard) + shortest, len(said) - shortest + 1):
        start, end = max(0, lag), min(len(said), lag + len(heard))
        # All of what was heard counts: what lies outside the sentence is compared with silence.
        beside = np.zeros(len(heard))
        beside[start - lag : end - lag] = said[start:end]
        if not beside.any() or not heard.any():
            continue
        alike = float(np.corrcoef(heard, beside)[0, 1])
        if alike > best.alike:
            best = Match(alike, (end - start) / len(said))
    return best
