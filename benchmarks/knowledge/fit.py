"""Fits what `sonora_app/knowledge/ranking.py` counts with, to the manuals that are not held out."""

import numpy as np

from benchmarks.knowledge.found import Asked
from sonora_app.knowledge.candidates import FEATURES, Candidates
from sonora_app.knowledge.ranking import FITTING, fitting


def fit(asked: Asked) -> str:
    """The weights: of a passage's numbers, and of those that tell whether anything fits."""
    known = [
        (candidates, np.array([number in right for number in candidates.numbers]))
        for question, candidates, right in asked.answerable
        if not question.manual.held_out
    ]
    weights = _order(known)
    rows, answered = [], []
    for candidates, _ in known:
        rows.append(_row(candidates, weights))
        answered.append(1.0)
    # Every second of the others; the rest is held out.
    for _, _, candidates in asked.others[1::2]:
        rows.append(_row(candidates, weights))
        answered.append(0.0)
    gate = _logistic(np.array(rows), np.array(answered))
    lines = [f'    "{name}": {value:.2f},' for name, value in zip(FEATURES, weights, strict=True)]
    lines += [""]
    lines += [f'    "{name}": {value:.2f},' for name, value in zip(FITTING, gate, strict=True)]
    return "\n".join(lines)


def _order(known: list) -> np.ndarray:
    """A passage's weights: the right one against all other candidates (softmax), with Adam."""
    weights = np.zeros(len(FEATURES))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    sets = [(candidates.features, right) for candidates, right in known if right.any()]
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


def _row(candidates: Candidates, weights: np.ndarray) -> list[float]:
    scores = candidates.features @ weights
    best = int(np.argmax(scores)) if len(scores) else None
    numbers = fitting(candidates, best, float(scores[best]) if best is not None else 0.0)
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
