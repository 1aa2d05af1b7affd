"""Compares a question and a passage word by word ("late interaction", ColBERT, arXiv 2004.12832).

The vector of a window tells what most of it is about, and a question may be about the rest. So
each word of the question is held against each word of a passage, by what the words mean where they
stand. For that the index keeps some bytes a word: only words that say something, without the
directions that words of all kinds share, in as few numbers as tell the most, in 4 bits each.
"""

import re
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sonora_app.knowledge.words import STOP_WORDS, folded

BASIS_FILE = Path(__file__).with_name("word_basis.npy")
"""The mean of what words mean in texts of all kinds, and below it the directions that are kept.

`python -m benchmarks.knowledge common` made it, of the texts of which it makes `common.npy`."""

SIZE = 96
"""Numbers that are kept of each vector; even, since two share a byte."""

_STEPS = 7
"""Each number is rounded to one of 15 steps."""

_AROUND = re.compile(r"^\W+|\W+$")

_Array = np.ndarray[Any, Any]


def word_vectors(words: Sequence[str], pieces: _Array) -> _Array:
    """The vectors of the words that say something, each of length 1.

    Args:
        words: The word that each piece is of.
        pieces: What the pieces mean, as the model gives it, one a row.
    """
    mean, directions = _basis()
    return _of_length_one((pieces[telling(words)] - mean) @ directions)


def telling(words: Sequence[str]) -> _Array:
    """Which of these words say something."""
    known = {word: _tells(word) for word in dict.fromkeys(words)}
    return np.fromiter((known[word] for word in words), dtype=bool, count=len(words))


def packed_words(vectors: _Array) -> bytes:
    """Vectors as they are kept, half a byte a number."""
    most = np.maximum(np.abs(vectors).max(axis=1, keepdims=True, initial=0.0), 1e-6)
    held = (np.rint(vectors / most * _STEPS) + _STEPS).astype(np.uint8)
    return (held[:, 0::2] | held[:, 1::2] << 4).tobytes()


def unpacked_words(kept: bytes) -> _Array:
    """Vectors that were kept, each of length 1."""
    pairs = np.frombuffer(kept, dtype=np.uint8).reshape(-1, SIZE // 2)
    held = np.empty((len(pairs), SIZE), dtype=np.float32)
    held[:, 0::2] = pairs & 15
    held[:, 1::2] = pairs >> 4
    return _of_length_one(held - _STEPS)


def likeness(question: _Array, passages: Sequence[bytes]) -> _Array:
    """How alike the words of a question and the likest ones of each passage are, in the mean.

    Args:
        question: The vectors of its words.
        passages: Those of each passage, packed.
    """
    lengths = np.array([len(kept) for kept in passages]) // (SIZE // 2)
    found = np.zeros(len(passages), dtype=np.float32)
    if len(question) and lengths.any():
        products = unpacked_words(b"".join(passages)) @ question.T
        some = np.flatnonzero(lengths)
        starts = np.cumsum(lengths[some]) - lengths[some]
        found[some] = np.maximum.reduceat(products, starts, axis=0).mean(axis=1)
    return found


def likenesses(
    connection: sqlite3.Connection, numbers: Sequence[int], question: _Array
) -> list[float] | None:
    """How alike the words of a question are to those of passages, by the passages' numbers.

    Gives None where the words of one of them are not kept: an earlier Sonora added it.
    """
    marks = ",".join("?" * len(numbers))
    kept: dict[int, bytes | None] = dict(
        connection.execute(f"SELECT number, words FROM passages WHERE number IN ({marks})", numbers)  # noqa: S608
    )
    passages = [words for number in numbers if (words := kept.get(number)) is not None]
    return likeness(question, passages).tolist() if len(passages) == len(numbers) else None


def _tells(word: str) -> bool:
    bare = _AROUND.sub("", folded(word))
    return bool(bare) and bare not in STOP_WORDS


def _of_length_one(vectors: _Array) -> _Array:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(lengths, 1e-6)[:, None]


@cache
def _basis() -> tuple[_Array, _Array]:
    rows = np.load(BASIS_FILE).astype(np.float32)
    return rows[0], np.ascontiguousarray(rows[1:].T)
