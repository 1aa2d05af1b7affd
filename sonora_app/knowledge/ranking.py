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

CLOSELY = 16
"""How many of the first passages are compared with the question word by word."""

CLOSE = (*FEATURES, "late")
"""What their order is judged by."""

CLOSE_WEIGHTS: dict[str, float] = {
    "meaning": 1.24,
    "likeness": 0.34,
    "bm25": 0.33,
    "both": 0.4,
    "late": 1.65,
}
"""How much each number counts for their order."""

_USUAL_LATE = (0.55, 0.07)
"""The mean and the spread of the likeness, word by word, of such passages and a question."""

_USUAL_LATE_COUNTS = 4
"""As how many of these passages the usual counts, where there are few."""

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


def order_closely(
    candidates: Candidates, ordered: Sequence[int], late: Sequence[float] | None
) -> list[int]:
    """The order once the first candidates were compared with the question word by word.

    Their scores stay as they are: by these it is told whether a passage fits.

    Args:
        candidates: What was found.
        ordered: Their indexes as `order` gives them.
        late: How alike the words of the first ones are to those of the question, in that order;
            None leaves all as it is.
    """
    if not late:
        return list(ordered)
    first = list(ordered[: len(late)])
    weights = np.array([CLOSE_WEIGHTS[name] for name in CLOSE])
    scores = close_features(candidates.features[first], late) @ weights
    closely: list[int] = np.argsort(-scores, kind="stable").tolist()
    return [*(first[place] for place in closely), *ordered[len(first) :]]


def close_features(features: _Array, late: Sequence[float]) -> _Array:
    """The numbers of passages that were compared word by word, one a row, as in `CLOSE`.

    How alike words are depends on the question, so it counts how far a passage stands out.
    """
    likeness = np.array(late)
    share = len(likeness) / (len(likeness) + _USUAL_LATE_COUNTS)
    mean = share * likeness.mean() + (1 - share) * _USUAL_LATE[0]
    spread = math.sqrt(share * likeness.var() + (1 - share) * _USUAL_LATE[1] ** 2)
    return np.column_stack((features, (likeness - mean) / spread))


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
