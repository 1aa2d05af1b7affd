"""A loudspeaker whose sound comes back by the microphone: what a room makes of a voice."""

from fractions import Fraction

import numpy as np
from av import AudioFrame, CodecContext

from simulators.clients.webrtc import FRAME_SECS, MIC_RATE

_DECAY_DB = 60.0

_LATER_SECS = 0.1
"""How much later than it is to, a sound may come back: what comes in bursts, comes by and by."""


def room(reverberation_secs: float, *, distance: float = 1.0, seed: int = 1) -> np.ndarray:
    """How a room answers a clap, as samples at the microphone's rate.

    Args:
        reverberation_secs: How long a sound takes to fade by 60 dB; 0 is no room at all.
        distance: How loud all that the walls send back is, as a part of what comes straight.
        seed: Which room of this kind.
    """
    straight = np.ones(1)
    if not reverberation_secs:
        return straight
    times = np.arange(int(reverberation_secs * MIC_RATE)) / MIC_RATE
    fading = 10 ** (-_DECAY_DB / 20 * times / reverberation_secs)
    tail = np.random.default_rng(seed).normal(0, 1, len(times)) * fading
    tail[: int(0.002 * MIC_RATE)] = 0.0
    tail *= distance / float(np.sqrt(np.sum(tail**2)))
    tail[0] = 1.0
    return tail


class Loudspeaker:
    """Plays a voice into a room, and gives what comes back of it.

    Args:
        softer_db: How much softer what comes straight is, in decibels.
        later_secs: How much later it comes back.
        answer: How the room answers, see `room`.
    """

    def __init__(
        self, *, softer_db: float, later_secs: float, answer: np.ndarray | None = None
    ) -> None:
        answer = np.ones(1) if answer is None else answer
        self._answer = answer * 10 ** (-softer_db / 20)
        self._later = np.zeros(int(later_secs * MIC_RATE))
        self._coming: np.ndarray | None = None
        self._tail = np.zeros(0)

    def play(self, samples: np.ndarray) -> None:
        """Play mono samples at the microphone's rate, after those before."""
        size = len(samples) + len(self._answer) - 1
        length = 1 << (size - 1).bit_length()
        spectrum = np.fft.rfft(samples, length) * np.fft.rfft(self._answer, length)
        sound = np.fft.irfft(spectrum, length)[:size]
        sound[: len(self._tail)] += self._tail
        before = self._later if self._coming is None else self._coming
        coming = np.concatenate([before, sound[: len(samples)]])
        # Where nothing came for a while there was silence, and what comes now is that much late. A
        # receiver leaves it out: otherwise each stall would make the way longer for good.
        late = len(coming) - len(self._later) - len(samples)
        self._coming = coming[late:] if late > _LATER_SECS * MIC_RATE else coming
        self._tail = sound[len(samples) :]

    def take(self, count: int) -> np.ndarray:
        """The next samples that come back; silence where nothing has been played for them."""
        if self._coming is None:
            return np.zeros(count)
        taken, self._coming = self._coming[:count], self._coming[count:]
        return np.pad(taken, (0, count - len(taken)))


def sent(samples: np.ndarray, *, bit_rate: int = 32_000) -> np.ndarray:
    """What is left of a sound that was sent as Opus.

    Args:
        samples: Mono, at the microphone's rate, as loud as 16-bit samples.
        bit_rate: In bits per second.
    """
    encoder, decoder = CodecContext.create("libopus", "w"), CodecContext.create("libopus", "r")
    encoder.bit_rate, encoder.sample_rate = bit_rate, MIC_RATE
    encoder.format, encoder.layout, encoder.time_base = "s16", "mono", Fraction(1, MIC_RATE)
    encoder.options = {"application": "voip"}
    decoder.sample_rate, decoder.layout = MIC_RATE, "mono"
    size = int(MIC_RATE * FRAME_SECS)
    whole = np.clip(samples[: len(samples) // size * size], -32_768, 32_767).astype(np.int16)
    heard: list[np.ndarray] = []
    for start in range(0, len(whole), size):
        frame = AudioFrame.from_ndarray(whole[start : start + size].reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = MIC_RATE, start, Fraction(1, MIC_RATE)
        for packet in encoder.encode(frame):
            heard += [each.to_ndarray().reshape(-1) for each in decoder.decode(packet)]
    return np.concatenate(heard)
