"""Vectors without what all texts have in common, so that they tell apart what texts say."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sonora_app.knowledge.rounded import Rounded

COMMON_FILE = Path(__file__).with_name("common.npy")
"""What texts of all kinds have in common."""

WIDTH = 384
"""Numbers in a vector of the model."""

_LEFT_OUT = 4
"""How many directions are left out: those in which texts differ most, whatever they say."""

_OWN_SHARE = 0.5
"""How much the index's own texts count among all texts for what is common."""

_OWN_ENOUGH = 200
"""How many windows an index must have to count so much; fewer count less."""

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Space:
    """What is left of a vector without the mean of all texts and the directions they share.

    Vectors of e5 lie in a narrow cone and differ most by language, length and kind of text. Without
    these few directions more of the likeness is about what is asked ("all-but-the-top", arXiv
    1702.01417). What is common is known from texts of all kinds, and from the index's own: its
    subject is common to all its passages. From its own texts alone the directions would be those
    that a question is about.

    Parameters:
        mean: The mean of all texts.
        shared: The directions that are left out, one a column.
    """

    mean: _Array
    shared: _Array

    @classmethod
    def of(cls, windows: Rounded) -> "Space":
        """The space for an index of these windows."""
        mean, spread = _common()
        if len(windows):
            some = windows.every(len(windows) // 4000 + 1)
            share = _OWN_SHARE * min(1.0, len(some) / _OWN_ENOUGH)
            own = some.mean(axis=0)
            apart, away = some - own, own - mean
            spread = (
                (1 - share) * spread
                + share / len(some) * (apart.T @ apart)
                + share * (1 - share) * np.outer(away, away)
            )
            mean = mean + share * away
        shared = np.linalg.eigh(spread)[1][:, -_LEFT_OUT:]
        return cls(mean.astype(np.float32), np.ascontiguousarray(shared, dtype=np.float32))

    def windows(self, vectors: Rounded) -> "Windows":
        """What likenesses to these windows are reckoned from."""
        left = self.left(self.mean)
        products = vectors.times(np.column_stack((self.shared, left, self.mean)))
        along = products[:, -1]
        rest = products[:, :-1] - np.append(self.mean @ self.shared, self.mean @ left)
        squares = vectors.squares() - 2 * along + self.mean @ self.mean
        squares -= np.einsum("ij,ij->i", rest[:, :-1], rest[:, :-1])
        lengths = np.sqrt(np.maximum(squares, 1e-6))
        return Windows(self, vectors, lengths, rest.astype(np.float32))

    def left(self, vector: _Array) -> _Array:
        """What is left of a vector without the directions that texts share."""
        return vector - self.shared @ (vector @ self.shared)


@dataclass(frozen=True)
class Windows:
    """The windows of an index.

    Parameters:
        space: What is left of them without what all texts have in common.
        vectors: Their vectors.
        lengths: How long each of them is in `space`.
        rest: What each is in the directions that are left out, and along the mean.
    """

    space: Space
    vectors: Rounded
    lengths: _Array
    rest: _Array

    def likeness(self, question: _Array) -> tuple[_Array, _Array]:
        """Their likeness to a question's vector, without what all texts have in common and with it.

        Most of the time goes into fetching the vectors, so it is done once, and the second is
        reckoned from the first.
        """
        mean, shared = self.space.mean, self.space.shared
        asked = self.space.left(question - mean)
        products = self.vectors.times(asked) - float(mean @ asked)
        left_out = np.append(question @ shared, np.float32(1.0))
        whole = products + self.rest @ left_out + float(mean @ question)
        return products / (self.lengths * max(float(np.linalg.norm(asked)), 1e-6)), whole


@cache
def _common() -> tuple[_Array, _Array]:
    """The mean of texts of all kinds, and how they differ from it (covariance).

    `python -m benchmarks.knowledge common` wrote both, from texts that no question of the
    benchmark is about: the mean first, then the widest directions, each as long as its spread.
    """
    rows = np.load(COMMON_FILE).astype(np.float64)
    mean, directions = rows[0], rows[1:]
    return mean, directions.T @ directions
