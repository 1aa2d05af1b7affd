"""Recordings of people: what is speech in them, and where somebody pauses."""

import wave
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recordings import own_pause, parted, read, trimmed
from benchmarks.speakers import VoiceMissingError
from simulators.clients.webrtc import MIC_RATE

pytestmark = pytest.mark.unit

PRECISION = 0.04
"""In seconds: a margin of two frames of 10 ms, and a frame."""


def sound(*parts: tuple[float, float], room: float) -> np.ndarray:
    """Noise, as (seconds, loudness), in a room with noise of its own."""
    chance = np.random.default_rng(3)
    made = [chance.normal(0, loud, int(secs * MIC_RATE)) for secs, loud in parts]
    return np.concatenate(made) + chance.normal(0, room, sum(map(len, made)))


@pytest.mark.parametrize("room", [0.0, 10.0, 80.0])
def test_what_is_around_speech_is_cut_off_in_any_room(room: float) -> None:
    samples = sound((0.3, 0), (0.8, 3000), (0.5, 0), room=room)
    assert len(trimmed(samples)) / MIC_RATE == pytest.approx(0.8, abs=PRECISION)


def test_the_end_of_speech_may_be_soft() -> None:
    samples = sound((0.3, 0), (0.6, 3000), (0.2, 300), (0.5, 0), room=20)
    assert len(trimmed(samples)) / MIC_RATE == pytest.approx(0.8, abs=PRECISION)


def test_the_click_of_a_switch_is_no_speech() -> None:
    samples = sound((0.02, 900), (0.2, 0), (0.8, 3000), (0.3, 0), (0.02, 900), room=20)
    assert len(trimmed(samples)) / MIC_RATE == pytest.approx(0.8, abs=PRECISION)


def test_somebodys_own_pause_is_the_longest_silence() -> None:
    samples = sound((0.5, 3000), (0.1, 0), (0.5, 3000), (0.4, 0), (0.6, 3000), room=20)
    start, end = own_pause(samples)
    assert start / MIC_RATE == pytest.approx(1.1, abs=PRECISION)
    assert end / MIC_RATE == pytest.approx(1.5, abs=PRECISION)


def test_the_closure_of_a_consonant_is_no_pause() -> None:
    with pytest.raises(ValueError, match="no pause"):
        own_pause(sound((0.5, 3000), (0.12, 0), (0.5, 3000), room=20))


@pytest.mark.parametrize(
    ("share", "before", "after"),
    [
        (0.1, "El alfil.", "Puede moverse en diagonal, por casillas del mismo color."),
        (0.5, "El alfil. Puede moverse en diagonal,", "por casillas del mismo color."),
    ],
)
def test_a_text_is_parted_at_the_mark_nearest_to_the_pause(
    share: float, before: str, after: str
) -> None:
    text = "El alfil. Puede moverse en diagonal, por casillas del mismo color."
    assert parted(text, share) == (before, after)


def test_a_recording_is_read_at_the_microphones_rate(tmp_path: Path) -> None:
    file = tmp_path / "tone.wav"
    tone = 8000 * np.sin(2 * np.pi * 300 * np.arange(4000) / 8000)
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(tone.astype(np.int16).tobytes())
    samples = read(file)
    assert len(samples) == MIC_RATE // 2
    assert float(np.sqrt(np.mean(samples**2))) == pytest.approx(8000 / np.sqrt(2), rel=0.02)


def test_a_recording_that_is_missing_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(VoiceMissingError, match="apt-get install tuxpaint-stamps-default"):
        read(tmp_path / "nobody.ogg")
