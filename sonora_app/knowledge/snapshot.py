"""The index in memory, as it was at one moment: what a search compares a question with."""

import sqlite3
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from sonora_app.knowledge.database import fact, model_changed
from sonora_app.knowledge.rounded import Rounded
from sonora_app.knowledge.space import WIDTH, Space, Windows
from sonora_app.knowledge.words import sound_of, trigrams_of

_LIKE_ENOUGH = 0.5
"""Likeness from which a word that was heard may be another of the documents."""

_LIKE_WORDS = 4
"""How many such words one is taken for."""

_BYTES = 2 * WIDTH
"""What a vector takes in the file."""

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Snapshot:
    """What was in the index at one revision.

    Parameters:
        revision: Which.
        numbers: The passages' numbers, ascending; the rows of all that follows.
        windows: The passages' windows, in the order of the passages.
        starts: The row of `windows` at which each passage's begin.
        owners: The user a passage belongs to: an index into `users`; 0 is everybody.
        english: Which passages are in English and not in Spanish.
        users: The owners' ids.
        vocabulary: How many passages hold a key.
    """

    revision: str
    numbers: _Array
    windows: Windows
    starts: _Array
    owners: _Array
    english: _Array
    users: dict[str, int]
    vocabulary: dict[str, int]
    _keys: list[str] = field(default_factory=list[str])
    _pieces: _Array = field(default_factory=lambda: np.zeros(0))
    _holding: dict[str, _Array] = field(default_factory=dict[str, _Array])

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self.numbers)

    def seen_by(self, user_id: str | None) -> _Array:
        """Which rows `user_id` may see: their own and everybody's."""
        seen = self.owners == 0
        own = self.users.get(user_id) if user_id is not None else None
        return seen | (self.owners == own) if own is not None else seen

    def like(self, word: str) -> list[tuple[str, float]]:
        """Keys that sound like a folded word, each with the likeness; not those equal to it."""
        pieces = trigrams_of(sound_of(word))
        held = [self._holding[piece] for piece in pieces if piece in self._holding]
        if not held:
            return []
        shared = np.bincount(np.concatenate(held), minlength=len(self._keys))
        scores = 2 * shared / (self._pieces + len(pieces))
        near = np.flatnonzero(scores >= _LIKE_ENOUGH)
        best = near[np.argsort(-scores[near], kind="stable")[:_LIKE_WORDS]]
        return [(self._keys[i], float(scores[i])) for i in best.tolist() if self._keys[i] != word]


def load(connection: sqlite3.Connection, model: str) -> Snapshot:
    """Read the index into memory: 20,000 passages in some 0.3 s.

    Args:
        connection: The index's file.
        model: The embedding model that questions are asked by.

    Raises:
        ModelChangedError: Another model made the index, so its vectors are not even looked at.
    """
    connection.execute("BEGIN")
    try:
        revision = fact(connection, "revision") or "0"
        made_by = fact(connection, "model")
        if made_by is not None and made_by != model:
            raise model_changed(made_by, model)
        count = connection.execute("SELECT total(length(embeddings)) FROM passages").fetchone()[0]
        vectors = Rounded(int(count) // _BYTES, WIDTH)
        rows: list[tuple[int, int, str | None, bool]] = []
        filled = 0
        for number, blob, user, language in connection.execute(
            "SELECT p.number, p.embeddings, d.user_id, p.language "
            "FROM passages p JOIN documents d ON d.id = p.document_id ORDER BY p.number"
        ):
            own = np.frombuffer(blob, dtype="<f2").reshape(-1, WIDTH)
            vectors.put(filled, own)
            rows.append((number, filled, user, language == "en"))
            filled += len(own)
        words = dict(connection.execute("SELECT term, doc FROM passage_vocabulary"))
    finally:
        connection.execute("COMMIT")
    users: dict[str, int] = {}
    owners = np.array(
        [users.setdefault(row[2], len(users) + 1) if row[2] is not None else 0 for row in rows],
        dtype=np.int32,
    )
    keys, pieces, holding = _sounds(words)
    return Snapshot(
        revision=revision,
        numbers=np.array([row[0] for row in rows], dtype=np.int64),
        windows=Space.of(vectors).windows(vectors),
        starts=np.array([row[1] for row in rows], dtype=np.int64),
        owners=owners,
        english=np.array([row[3] for row in rows], dtype=bool),
        users=users,
        vocabulary=words,
        _keys=keys,
        _pieces=pieces,
        _holding=holding,
    )


def _sounds(words: dict[str, int]) -> tuple[list[str], _Array, dict[str, _Array]]:
    keys = [key for key in words if len(key) > 2 and not key.isdigit()]
    pieces = [trigrams_of(sound_of(key)) for key in keys]
    holding: dict[str, list[int]] = {}
    for index, piece in chain.from_iterable(
        ((index, piece) for piece in own) for index, own in enumerate(pieces)
    ):
        holding.setdefault(piece, []).append(index)
    lengths = np.array([len(own) for own in pieces], dtype=np.float32)
    return keys, lengths, {p: np.array(held, dtype=np.int32) for p, held in holding.items()}
