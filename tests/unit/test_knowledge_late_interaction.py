"""A question and a passage compared word by word, and the order of the first passages by it."""

import sqlite3

import numpy as np
import pytest

from sonora_app.knowledge.candidates import Candidates
from sonora_app.knowledge.late_interaction import (
    SIZE,
    likeness,
    likenesses,
    packed_words,
    telling,
    unpacked_words,
)
from sonora_app.knowledge.ranking import order, order_closely

pytestmark = pytest.mark.unit


def some_words(count: int) -> np.ndarray:
    vectors = np.random.default_rng(count).normal(size=(count, SIZE)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_words_are_kept_in_half_a_byte_a_number() -> None:
    words = some_words(40)
    kept = packed_words(words)

    assert len(kept) == 40 * SIZE // 2
    assert np.einsum("ij,ij->i", unpacked_words(kept), words).min() > 0.97
    assert unpacked_words(packed_words(words[:0])).shape == (0, SIZE)


def test_likeness_is_that_of_each_word_of_the_question_and_the_likest_of_the_passage() -> None:
    words = some_words(6)
    passages = [packed_words(each) for each in (words, words[:0], words[:3])]
    likest = [max(float(word @ other) for other in words[:3]) for word in words]

    assert likeness(words, passages) == pytest.approx([1.0, 0.0, np.mean(likest)], abs=0.03)
    assert likeness(words[:0], passages).tolist() == [0.0, 0.0, 0.0]


def test_words_that_say_nothing_are_left_out() -> None:
    words = ["¿Cómo", "limpio", "el", "cristal,", "—", "del", "horno?"]

    assert telling(words).tolist() == [False, True, False, True, False, False, True]


def test_passages_whose_words_are_not_kept_are_not_compared() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE passages (number INTEGER PRIMARY KEY, words BLOB)")
    words = some_words(4)
    rows = [(1, packed_words(words)), (2, packed_words(-words)), (3, None)]
    connection.executemany("INSERT INTO passages VALUES (?, ?)", rows)

    first, second = likenesses(connection, [1, 2], words) or []
    assert first > 0.97 > second
    assert likenesses(connection, [1, 3], words) is None
    connection.close()


def test_the_first_passages_are_put_in_order_anew_and_the_others_stay_behind_them() -> None:
    features = np.array([[3.0, 1, 1, 1], [2.9, 1, 1, 1], [2.0, 1, 1, 1], [1.0, 0, 0, 0]])
    candidates = Candidates([11, 12, 13, 14], features, np.zeros(4), (), 0.5)
    ordered, _ = order(candidates)

    assert ordered == [0, 1, 2, 3]
    assert order_closely(candidates, ordered, [0.4, 0.7, 0.3]) == [1, 0, 2, 3]
    assert order_closely(candidates, ordered, None) == ordered
