"""Fits what `sonora_app/knowledge/ranking.py` counts with, to the manuals that are not held out."""

import numpy as np

from benchmarks.knowledge.found import Asked, AskedQuestion
from sonora_app.knowledge.candidates import FEATURES
from sonora_app.knowledge.ranking import CLOSE, FITTING, close_features, fitting

Judged = tuple[np.ndarray, np.ndarray]
"""The numbers of a question's passages, one a row, and which of them are right."""


def fit(asked: Asked) -> str:
    """The weights: of passages, of the order of the first ones, and of whether anything fits.

    The first ones are those by the weights that are there, so fit a second time with the new ones.
    """
    known = [each for each in asked.answerable if each.manual and not each.manual.held_out]
    weights = _order([_all_of(each) for each in known])
    close = _order([_first_of(each) for each in known])
    # Every second of the others; the rest is held out.
    others = asked.others[1::2]
    rows = [_row(each, weights) for each in (*known, *others)]
    answered = [1.0] * len(known) + [0.0] * len(others)
    gate = _logistic(np.array(rows), np.array(answered))
    groups = ((FEATURES, weights), (CLOSE, close), (FITTING, gate))
    return "\n\n".join(
        "\n".join(f'    "{name}": {value:.2f},' for name, value in zip(names, values, strict=True))
        for names, values in groups
    )


def _all_of(asked: AskedQuestion) -> Judged:
    candidates = asked.candidates
    return candidates.features, np.array([n in asked.right for n in candidates.numbers])


def _first_of(asked: AskedQuestion) -> Judged:
    features, right = _all_of(asked)
    first = asked.ordered[: len(asked.late)]
    return close_features(features[first], asked.late), right[first]


def _order(known: list[Judged]) -> np.ndarray:
    """A passage's weights: the right one against all other candidates (softmax), with Adam."""
    sets = [(features, right) for features, right in known if right.any()]
    weights = np.zeros(sets[0][0].shape[1])
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, 1501):
        slope = 0.02 * weights
        for features, right in sets:
            scores = features @ weights
            share = np.exp(scores - scores.max())
            share /= share.sum()
            wanted = share * right / (share * right).sum()
            slope += features.T @ (share - wanted) / len(sets)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope * slope
        step_size = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        weights -= 0.05 * step_size
    return weights


def _row(asked: AskedQuestion, weights: np.ndarray) -> list[float]:
    scores = asked.candidates.features @ weights
    best = int(np.argmax(scores)) if len(scores) else None
    numbers = fitting(asked.candidates, best, float(scores[best]) if best is not None else 0.0)
    return [numbers[name] for name in FITTING]


def _logistic(rows: np.ndarray, answered: np.ndarray) -> np.ndarray:
    weights = np.zeros(rows.shape[1])
    share = answered.mean()
    counts = np.where(answered == 1, 0.5 / share, 0.5 / (1 - share))
    penalised = np.array([name != "bias" for name in FITTING])
    for _ in range(20_000):
        guessed = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (counts * (guessed - answered)) / len(rows)
        weights -= 0.1 * (slope + 0.01 * weights * penalised)
    return weights
