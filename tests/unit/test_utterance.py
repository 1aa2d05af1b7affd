"""Things to say for the benchmarks: when their words are over, and how loud they are."""

import numpy as np
import pytest

from benchmarks.utterance import LOUDNESS, Utterance, levelled, loudness, spread
from simulators.clients.speech import Spoken
from simulators.clients.webrtc import FRAME_SECS, MIC_RATE

pytestmark = pytest.mark.unit


def tone(secs: float, loud: float = 5000.0) -> np.ndarray:
    times = np.arange(int(secs * MIC_RATE)) / MIC_RATE
    return (loud * np.sqrt(2) * np.sin(2 * np.pi * 200 * times)).astype(np.int16)


def silence(secs: float) -> np.ndarray:
    return np.zeros(int(secs * MIC_RATE), np.int16)


def test_words_take_their_part_of_the_letters() -> None:
    said = spread("Uno, ¡cuatro!", tone(0.9))
    assert [word for word, _ in said.words] == ["Uno,", "¡cuatro!"]
    assert [end for _, end in said.words] == pytest.approx([0.3, 0.9], abs=FRAME_SECS)


def test_a_pause_makes_no_word_longer() -> None:
    said = spread("uno dos", np.concatenate([tone(0.4), silence(1.0), tone(0.4)]))
    assert [end for _, end in said.words] == pytest.approx([0.4, 1.8], abs=FRAME_SECS)


def test_the_last_word_ends_with_the_voice() -> None:
    said = spread("uno dos", np.concatenate([tone(0.4), tone(0.1, loud=100)]))
    assert said.words[-1] == ("dos", pytest.approx(0.4))


def test_a_word_without_letters_takes_some_time() -> None:
    said = spread("uno — dos", tone(0.7))
    ends = [end for _, end in said.words]
    assert ends == sorted(set(ends))


def test_joined_words_count_from_the_beginning() -> None:
    part = Spoken(tone(0.5), (("uno", 0.2), ("dos", 0.5)))
    said = Utterance.joined([part, 0.8, part])
    assert [end for _, end in said.words] == pytest.approx([0.2, 0.5, 1.5, 1.8])
    assert len(said.pcm) == int(1.8 * MIC_RATE)
    assert said.text == "uno dos uno dos"


def test_lead_and_tail_are_what_is_not_voiced() -> None:
    pcm = np.concatenate([silence(0.1), tone(0.5), silence(0.2)])
    said = Utterance(pcm, (("uno", 0.6),))
    assert said.lead_secs == pytest.approx(0.1, abs=FRAME_SECS)
    assert said.tail_secs == pytest.approx(0.2, abs=FRAME_SECS)


@pytest.mark.parametrize("loud", [50.0, 20_000.0])
def test_speech_is_made_equally_loud_by_its_voiced_parts(loud: float) -> None:
    made = levelled(np.concatenate([tone(0.5, loud), silence(2.0)]))
    assert loudness(made[: MIC_RATE // 2], FRAME_SECS) == pytest.approx(LOUDNESS, rel=0.02)
    assert made.dtype == np.int16
