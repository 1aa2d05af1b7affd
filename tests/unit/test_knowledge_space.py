"""What is left of vectors without what all texts have in common, and names in questions."""

import numpy as np
import pytest

from sonora_app.knowledge.questions import cleaned, with_names
from sonora_app.knowledge.rounded import Rounded
from sonora_app.knowledge.space import WIDTH, Space

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("count", [1, 3, 500])
def test_likeness_is_that_of_the_vectors_without_what_they_share(count: int) -> None:
    chance = np.random.default_rng(3)
    vectors = (chance.normal(size=(count, WIDTH)) + 2.0).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    question = (chance.normal(size=WIDTH) + 2.0).astype(np.float32)
    question /= np.linalg.norm(question)
    rounded = Rounded.of(vectors)
    space = Space.of(rounded)

    def left(some: np.ndarray) -> np.ndarray:
        apart = some - space.mean
        apart = apart - (apart @ space.shared) @ space.shared.T
        return apart / np.linalg.norm(apart, axis=-1, keepdims=True)

    apart, whole = space.windows(rounded).likeness(question)
    kept = rounded.every(1)
    assert kept == pytest.approx(vectors, abs=float(np.abs(vectors).max()) / 254 + 1e-6)
    assert apart == pytest.approx(left(kept) @ left(question), abs=1e-4)
    assert whole == pytest.approx(kept @ question, abs=1e-4)
    assert whole == pytest.approx(vectors @ question, abs=2e-3)


def test_what_all_windows_share_no_longer_makes_them_alike() -> None:
    chance = np.random.default_rng(4)
    vectors = (0.2 * chance.normal(size=(400, WIDTH)) + chance.normal(size=WIDTH)).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rounded = Rounded.of(vectors)
    apart, whole = Space.of(rounded).windows(rounded).likeness(vectors[7])

    assert np.median(whole) > 0.9
    assert np.median(apart) < 0.3
    assert apart.argmax() == 7


@pytest.mark.parametrize(
    ("said", "name"),
    [("¿Qué hago si con ene map no aparece?", "nmap"), ("¿Cómo va el hache top?", "htop")],
)
def test_a_name_that_begins_with_a_spelt_letter_is_joined_if_the_documents_have_it(
    said: str, name: str
) -> None:
    question = cleaned(said)

    assert name in with_names(question, {name}).split()
    assert with_names(question, {"otra"}) == question
