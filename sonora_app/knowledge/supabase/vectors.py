"""Vectors as Supabase keeps them: without what all texts have in common.

The embedded index also leaves out what its own texts share, which changes with each document. Here
the vectors are there for good, so what is left out is the same for every project.
"""

from functools import cache
from typing import Any

import numpy as np

from sonora_app.knowledge.rounded import Rounded
from sonora_app.knowledge.space import WIDTH, Space

_Array = np.ndarray[Any, Any]


def model_there(model: str) -> str:
    """How the vectors of `model` are called there."""
    return f"{model}, apart"


def apart(vectors: _Array) -> _Array:
    """Vectors, one a row, without what all texts have in common; each of length 1."""
    space = _space()
    left = vectors - space.mean
    left -= (left @ space.shared) @ space.shared.T
    return left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-6)


def vector_text(vector: _Array) -> str:
    """A vector as pgvector reads it, with the precision that the index keeps."""
    return f"[{','.join(f'{number:.5g}' for number in vector.tolist())}]"


@cache
def _space() -> Space:
    return Space.of(Rounded(0, WIDTH))
