"""The noise of rooms."""

import numpy as np
import pytest

from benchmarks.rooms import hum, like, mixed, pink, quietest
from simulators.clients.webrtc import MIC_RATE, Microphone

pytestmark = pytest.mark.unit


def power(samples: np.ndarray, low: float, high: float) -> float:
    """What there is between two frequencies, in hertz."""
    hertz = np.fft.rfftfreq(len(samples), 1 / MIC_RATE)
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


def test_pink_noise_has_as_much_in_each_octave() -> None:
    noise = pink(4)
    assert power(noise, 4000, 8000) == pytest.approx(power(noise, 200, 400), rel=0.1)


def test_a_hum_is_the_mains_and_its_overtones() -> None:
    noise = hum(1)
    assert power(noise, 45, 155) == pytest.approx(power(noise, 0, MIC_RATE), rel=0.01)


def test_noise_like_a_sample_has_its_colour_and_loudness() -> None:
    sample = 50 * pink(0.2)
    noise = like(sample, 2)
    assert len(noise) == 2 * MIC_RATE
    assert float(np.std(noise)) == pytest.approx(50, rel=0.05)
    share = power(noise, 4000, 8000) / power(noise, 0, MIC_RATE)
    assert share == pytest.approx(power(sample, 4000, 8000) / power(sample, 0, MIC_RATE), rel=0.2)


def test_sounds_are_mixed_around_and_around() -> None:
    ones, twos = np.ones(1000), np.full(777, 2.0)
    assert set(mixed([ones, twos], 0.5)) == {3.0}


def test_the_quietest_is_what_is_between_words() -> None:
    loud, quiet = np.full(MIC_RATE, 3000.0), np.full(MIC_RATE // 4, 20.0)
    assert set(quietest(np.concatenate([loud, quiet, loud]))) == {20.0}


async def test_a_microphone_hears_the_room_around_and_around() -> None:
    microphone = Microphone(room=np.arange(1000.0))
    heard = [(await microphone.recv()).to_ndarray().reshape(-1) for _ in range(3)]
    assert list(np.concatenate(heard)) == [number % 1000 for number in range(3 * 960)]
    microphone.stop()
