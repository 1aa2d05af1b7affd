"""Ranks the passages that were found, and estimates whether the best one answers the question.

`python -m benchmarks.knowledge fit` fitted the weights to questions about three manuals.
`docs/knowledge.md` tells how well the ranking works on two other manuals.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sonora_app.knowledge.candidates import FEATURES, Candidates
from sonora_app.knowledge.records import Found

_Array = np.ndarray[Any, Any]

WEIGHTS: dict[str, float] = {"meaning": 1.69, "likeness": 0.61, "bm25": 0.83, "both": 1.1}
"""How much each number counts for a passage."""

FIT_WEIGHTS: dict[str, float] = {
    "bias": -5.19,
    "best": 0.29,
    "similarity": 1.66,
    "words": 0.68,
    "known": 1.04,
    "length": 0.95,
}
"""How much each number counts for whether anything fits."""

SCORE_MIDDLE = 12.0
"""The score at which a passage is as likely as not to be the right one."""

GIVEN_FROM = 0.4
"""What passages must fit at least to be given in a turn."""

GIVEN = 3
"""How many passages a turn is given at most."""

GIVEN_SCORE = 0.02
"""The score that each of them needs by itself. Among the benchmark's manuals no answer that a turn
is given falls below it; in an index of a few passages nearly all that does not fit falls below."""

FITTING = ("bias", "best", "similarity", "words", "known", "length")


def order(candidates: Candidates) -> tuple[list[int], _Array]:
    """The candidates' indexes, the likeliest first, and the score of each by its index."""
    weights = np.array([WEIGHTS[name] for name in FEATURES])
    scores = candidates.features @ weights
    return np.argsort(-scores, kind="stable").tolist(), scores


def fitting(candidates: Candidates, best: int | None, score: float) -> dict[str, float]:
    """The numbers by which it is told whether the best candidate answers the question.

    Args:
        candidates: What was found.
        best: The index of the likeliest; None where there is none.
        score: Its score.
    """
    total = sum(term.weight for term in candidates.terms)
    known = sum(term.weight for term in candidates.terms if term.known)
    return {
        "bias": 1.0,
        "best": score,
        "similarity": (candidates.similarity - 0.3) * 10,
        "words": float(candidates.words[best]) if best is not None else 0.0,
        "known": known / total if total else 0.0,
        "length": min(len(candidates.terms), 6) / 6,
    }


def fits(numbers: dict[str, float], weights: Mapping[str, float] = FIT_WEIGHTS) -> float:
    """How likely it is that the best candidate answers the question, 0 to 1."""
    total = sum(weights[name] * value for name, value in numbers.items())
    return 1 / (1 + math.exp(-max(min(total, 30.0), -30.0)))


def probability(score: float, middle: float = SCORE_MIDDLE) -> float:
    """A passage's score as 0 to 1, to be read by people: 0.5 is where it begins to be likely."""
    return 1 / (1 + math.exp(-max(min(score - middle, 30.0), -30.0)))


def given_of(found: Sequence[Found], likely: float) -> tuple[Found, ...]:
    """What a turn is given of what was found, the likeliest first; `likely` is from `fits`."""
    if likely < GIVEN_FROM:
        return ()
    return tuple(each for each in found[:GIVEN] if each.score >= GIVEN_SCORE)
