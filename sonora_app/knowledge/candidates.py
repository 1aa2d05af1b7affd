"""The passages that may answer a question, each with the numbers that it is judged by."""

import math
import sqlite3
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sonora_app.knowledge.snapshot import Snapshot
from sonora_app.knowledge.words import STOP_WORDS, key_of, words_of

BY_MEANING = 40
BY_LIKENESS = 20
BY_WORDS = 40
"""How many candidates each way of searching gives."""

_COMMON = 0.08
"""Share of the passages from which a word is too common to look for, where rarer ones are asked."""

_ALWAYS = 3
"""How many of the rarest words are looked for, however common they are."""

_OWNED = "JOIN passages p ON p.number = k.rowid JOIN documents d ON d.id = p.document_id"

USUAL_MEANING = (0.02, 0.07)
_USUAL_LIKENESS = (0.79, 0.02)
"""The mean and the spread of the likeness of passages to a question, without what all texts have
in common and with it: of the questions and the 2,260 passages of the benchmark."""

USUAL_COUNTS = 20
"""As how many passages the usual counts beside the index's own: a small index has few to tell
what is usual."""

_Array = np.ndarray[Any, Any]

FEATURES = ("meaning", "likeness", "bm25", "both")
"""What a candidate is judged by, in the order of `Candidates.features`."""


@dataclass(frozen=True)
class Term:
    """A word of the question.

    Parameters:
        key: Its key.
        weight: How much it tells: rare words tell more.
        like: The keys that it may be a mishearing of, with their likeness.
        known: Whether any passage holds it.
    """

    key: str
    weight: float
    known: bool
    like: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Candidates:
    """What may answer a question.

    Parameters:
        numbers: The passages' numbers.
        features: One row a passage, one column for each of `FEATURES`.
        words: How much of the question's words, by what they tell, each passage holds, 0 to 1.
        terms: The words of the question.
        similarity: The likeness of the passage that is likest, without what all texts share.
    """

    numbers: list[int]
    features: _Array
    words: _Array
    terms: tuple[Term, ...]
    similarity: float


def find_candidates(
    connection: sqlite3.Connection,
    snapshot: Snapshot,
    question: str,
    vector: _Array | None,
    user_id: str | None,
) -> Candidates:
    """The candidates for a cleaned question.

    Args:
        connection: The index's file.
        snapshot: The index in memory.
        question: What is asked, cleaned.
        vector: Its vector; None has the words alone decide.
        user_id: Who asks: the documents of others are not looked at.
    """
    seen = snapshot.seen_by(user_id)
    terms = _terms(snapshot, question)
    near = _by_meaning(snapshot, vector, seen)
    rows: dict[int, float] = {}
    if vector is not None and seen.any():
        for row in _best(near.meaning, BY_MEANING) + _best(near.likeness, BY_LIKENESS):
            if seen[row]:
                rows[row] = 0.0
    for number, score in _by_words(connection, snapshot, terms, user_id):
        row = int(np.searchsorted(snapshot.numbers, number))
        if row < len(snapshot) and snapshot.numbers[row] == number and seen[row]:
            rows[row] = score
    numbers = [int(snapshot.numbers[row]) for row in rows]
    held = _keys_of(connection, numbers)
    words = np.array([_share(terms, held.get(number, "")) for number in numbers])
    places = np.fromiter(rows, dtype=np.int64)
    bm25 = np.array(list(rows.values())) / (max(rows.values(), default=0.0) or 1.0)
    meaning, likeness = near.meaning[places], near.likeness[places]
    features = np.column_stack((meaning, likeness, bm25, meaning * words))
    return Candidates(numbers, features, words, terms, near.similarity)


def _terms(snapshot: Snapshot, question: str) -> tuple[Term, ...]:
    words = words_of(question)
    count = max(len(snapshot), 1)
    terms: dict[str, Term] = {}
    pairs = [first + second for first, second in pairwise(words)]
    said = [word for word in words if word not in STOP_WORDS and len(word) > 1]
    for word in said:
        key = key_of(word)
        if key in terms:
            continue
        known = snapshot.vocabulary.get(key, 0)
        like = snapshot.like(key) if len(word) > 3 else []
        rarest = min([known or count] + [snapshot.vocabulary[k] for k, _ in like[:1]])
        weight = _rareness(count, known if known else rarest)
        weight = weight if known or like else _rareness(count, 0) / 2
        terms[key] = Term(key, weight, known > 0, tuple(like))
    for pair in pairs:
        key = key_of(pair)
        if key in terms or len(pair) < 5:
            continue
        known = snapshot.vocabulary.get(key, 0)
        like = [(k, score) for k, score in snapshot.like(key) if score >= 0.7]
        if known:
            terms[key] = Term(key, _rareness(count, known), True, ())
        elif like:
            weight = _rareness(count, snapshot.vocabulary[like[0][0]])
            terms[key] = Term(key, weight, False, tuple(like))
    return tuple(terms.values())


def _rareness(count: int, holding: int) -> float:
    return math.log(1 + (count - holding + 0.5) / (holding + 0.5))


@dataclass(frozen=True)
class _Near:
    """How far each passage stands out from all that the asker may see, by what it means.

    Parameters:
        meaning: Its window that is likest to the question, without what all texts have in common.
        likeness: The same with it, as the model gives it.
        similarity: The likeness of the likest passage, without what all texts have in common.
    """

    meaning: _Array
    likeness: _Array
    similarity: float = 0.0


def _by_meaning(snapshot: Snapshot, vector: _Array | None, seen: _Array) -> _Near:
    if vector is None or not seen.any():
        none = np.zeros(len(snapshot), dtype=np.float32)
        return _Near(none, none)
    apart, whole = snapshot.windows.likeness(vector)
    meaning = np.maximum.reduceat(apart, snapshot.starts)
    likeness = np.maximum.reduceat(whole, snapshot.starts)
    # A question is likelier to be like a text of its own language, whatever the two say.
    groups = [seen & snapshot.english, seen & ~snapshot.english]
    return _Near(
        _standing_out(meaning, groups, USUAL_MEANING),
        _standing_out(likeness, groups, _USUAL_LIKENESS),
        float(meaning[seen].max()),
    )


def _standing_out(likeness: _Array, groups: list[_Array], usual: tuple[float, float]) -> _Array:
    """By how many spreads of its group each is above the group's mean."""
    found = np.full(len(likeness), -9.0, dtype=np.float32)
    for group in groups:
        own = likeness[group]
        if not len(own):
            continue
        share = len(own) / (len(own) + USUAL_COUNTS)
        mean = share * float(own.mean()) + (1 - share) * usual[0]
        spread = math.sqrt(share * float(own.var()) + (1 - share) * usual[1] ** 2)
        found[group] = (own - mean) / spread
    return found


def _best(scores: _Array, count: int) -> list[int]:
    if len(scores) <= count:
        return list(range(len(scores)))
    return np.argpartition(-scores, count)[:count].tolist()


def _by_words(
    connection: sqlite3.Connection,
    snapshot: Snapshot,
    terms: tuple[Term, ...],
    user_id: str | None,
) -> list[tuple[int, float]]:
    keys = {term.key for term in terms} | {key for term in terms for key, _ in term.like[:2]}
    held = {key: snapshot.vocabulary[key] for key in keys if snapshot.vocabulary.get(key)}
    rarest = sorted(held, key=lambda key: held[key])
    enough = len(snapshot) * _COMMON
    wanted = rarest[:_ALWAYS] + [key for key in rarest[_ALWAYS:] if held[key] <= enough]
    if not wanted:
        return []
    # Where all is everybody's, as a rule, nothing is looked up of the passages that hold the words.
    owned = _OWNED if snapshot.users else ""
    asked = " OR ".join(f'"{key}"' for key in wanted)
    return [
        (number, -rank)
        for number, rank in connection.execute(
            "SELECT k.rowid, bm25(passage_keys, 2.0, 1.0) AS rank FROM passage_keys k "  # noqa: S608
            f"{owned} WHERE passage_keys MATCH :asked "
            f"{'AND (d.user_id IS NULL OR d.user_id = :user)' if owned else ''} "
            "ORDER BY rank LIMIT :count",
            {"asked": asked, "user": user_id, "count": BY_WORDS},
        )
    ]


def _keys_of(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, str]:
    """The keys of passages, each between spaces. To look for a few is quicker than to split all."""
    marks = ",".join("?" * len(numbers))
    return {
        number: f" {headings} {content} "
        for number, headings, content in connection.execute(
            f"SELECT rowid, headings, content FROM passage_keys WHERE rowid IN ({marks})",  # noqa: S608
            numbers,
        )
    }


def _share(terms: tuple[Term, ...], held: str) -> float:
    total = sum(term.weight for term in terms)
    told = sum(term.weight for term in terms if f" {term.key} " in held)
    return told / total if total else 0.0
