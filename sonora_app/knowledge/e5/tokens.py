"""A text as the pieces of words that the model knows (SentencePiece's unigram model)."""

import re
from functools import lru_cache
from typing import Any

import numpy as np

from sonora_app.knowledge.e5.weights import Vocabulary

_SPACE = "\u2581"
"""What stands for a space in a piece: at its beginning, and nowhere else."""

_UNKNOWN_COST = 10.0
"""How much less likely than the least likely piece a character is that no piece has."""

_START = 14695981039346656037
_PRIME = 1099511628211
_BITS = (1 << 64) - 1
"""FNV-1a, by which a piece is found: the pieces themselves would take 25 MB as a dictionary."""

_REMEMBERED_WORDS = 4096

_Array = np.ndarray[Any, Any]


class Tokenizer:
    """Cuts texts into pieces, the likeliest ones."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Note by which hash each piece is found; some 0.1 s."""
        self._replaced = vocabulary.replaced
        self._scores = vocabulary.scores
        self._unknown_piece = vocabulary.unknown
        lengths = np.diff(vocabulary.starts)
        self._longest = int(lengths.max())
        self._unknown_score = float(vocabulary.scores.min()) - _UNKNOWN_COST
        hashes = np.full(len(lengths), _START, dtype=np.uint64)
        left = np.flatnonzero(lengths)
        for place in range(self._longest):
            left = left[lengths[left] > place]
            letters = vocabulary.letters[vocabulary.starts[left] + place]
            hashes[left] = (hashes[left] ^ letters) * np.uint64(_PRIME)
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._pieces = order.astype(np.int32)
        # What is recognised grows word by word, so most words were cut before.
        self._of_word = lru_cache(_REMEMBERED_WORDS)(self._cut)

    def pieces(self, text: str) -> list[int]:
        """The numbers of the pieces of `text`, without the marks before and behind it."""
        return [piece for _, pieces in self.words(text) for piece in pieces]

    def words(self, text: str) -> list[tuple[str, tuple[int, ...]]]:
        """The words of `text` between spaces, each with the numbers of its pieces."""
        read = text.translate(self._replaced)
        words = re.sub(" +", " ", read).removeprefix(" ").split(" ")
        return [(word, self._of_word(_SPACE + word)) for word in words]

    def _cut(self, word: str) -> tuple[int, ...]:
        best = [0.0, *[-1e30] * len(word)]
        last = [(0, self._unknown_piece)] * (len(word) + 1)
        for start, pieces in enumerate(self._found(word)):
            for end, piece, score in (
                (start + 1, self._unknown_piece, self._unknown_score),
                *pieces,
            ):
                if best[start] + score > best[end]:
                    best[end] = best[start] + score
                    last[end] = (start, piece)
        cut: list[int] = []
        end = len(word)
        while end:
            end, piece = last[end]
            cut.append(piece)
        return tuple(cut[::-1])

    def _found(self, word: str) -> list[list[tuple[int, int, float]]]:
        """The pieces that begin at each character: where each ends, its number and its score."""
        chars = [char.encode() for char in word]
        spans: list[tuple[int, int]] = []
        keys: list[int] = []
        for start in range(len(chars)):
            key, length = _START, 0
            for end in range(start, len(chars)):
                length += len(chars[end])
                if length > self._longest:
                    break
                for byte in chars[end]:
                    key = (key ^ byte) * _PRIME & _BITS
                spans.append((start, end + 1))
                keys.append(key)
        found: list[list[tuple[int, int, float]]] = [[] for _ in chars]
        sought = np.array(keys, dtype=np.uint64)
        at = np.searchsorted(self._hashes, sought).clip(max=len(self._hashes) - 1)
        known = np.flatnonzero(self._hashes[at] == sought)
        pieces = self._pieces[at[known]]
        scores = self._scores[pieces].tolist()
        for index, piece, score in zip(known.tolist(), pieces.tolist(), scores, strict=True):
            start, end = spans[index]
            if piece != self._unknown_piece:
                found[start].append((end, piece, score))
        return found
