"""Tells by sound whether a voice is the bot's own, which comes back out of a loudspeaker.

What the bot plays is known. What comes back of it is a sum of copies: later, softer, one straight
from the loudspeaker and others from the walls. So the delay is looked for at which the
microphone's sound is most like what was played, and the sum of copies from there on that comes
nearest to it. What that leaves unexplained is somebody else: another voice does not become this one
by being delayed and summed, nor does the same voice with other words.

The limits were found by espeak-ng's and Piper's voices and a person's, sent as Opus through rooms
that were made up; docs/turns.md has what they do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

RATE = 8_000
"""The rate that sounds are compared at, in Hz. Voices have little above half of it, and what small
loudspeakers play of it says nothing new."""

HEARD_SECS = 1.0
"""How much of the microphone's sound is compared, in seconds."""

BRIEF_SECS = 0.35
"""How much of it is compared by itself where all of it is not alike, in seconds: the delay may have
changed, as when a buffer has run dry."""

RECENT_SECS = 0.25
"""How much of that, at its end, tells whose voice it is, in seconds: a little more than Silero
takes to notice a voice."""

LATEST_SECS = 0.9
"""How much later the voice may come back, in seconds: by the network, and by buffers."""

_COPIES_SECS = 0.04
"""How far apart the first and the last copy are, in seconds: of a room, its first echoes."""

_EARLIER_SECS = 0.003
"""How much sooner than the one that is most alike the first copy may come, in seconds."""

_EMPHASIS = 0.9
"""How much of each sample is taken off the next: so high and low sounds are about as loud."""

_WHITENING = 0.8
"""The power of each tone's loudness that it is divided by, in the search for the delay."""

_TONES = (250.0, 3_700.0)
"""What is compared in that search, in Hz: what small loudspeakers play."""

_STEADINESS = 0.01
"""Noise that the copies are not fitted to, as a part of the bot's power."""

_SHARP, _ITS_OWN = 14.0, 0.65
"""From here on a voice is the bot's alone: how far the delay stands out, and how much of the sound
is explained. espeak-ng's voice with other words reaches 25 and 0.57 where both begin alike."""

_ITS_OWN_AGAIN = 0.45
"""How much has to be explained where the bot's voice has come back before in the call. Noise is
not, nor is what a room adds later than the copies."""

_NOT_ALL = 0.3
"""Below it somebody speaks over the bot's voice that was heard, ..."""

_LOUD = 0.4
"""... if what is not explained is as loud as this part of all that was heard. Else it is the pause
between two words, with a room that fades."""

_PLAYED_SECS = HEARD_SECS + LATEST_SECS
_AHEAD_SECS = 0.5
"""How much of the bot's voice is kept: what is compared, and what may be sent ahead of its time, in
seconds."""

_PACKET_SECS = 0.02
"""What is played is sent in packets of this length, in seconds. For each that is due before there
is more to play, a silent one is sent."""


@dataclass(frozen=True)
class Likeness:
    """How a sound is like another one that comes back.

    Parameters:
        sharpness: How far the best delay stands out: how alike they are there, measured by how
            alike they are at all of them (root mean square).
        explained: Which part of the recent sound's energy comes back; below 0 it is less like it
            than silence is.
        left: How loud the rest is, as a part of all the sound (power).
    """

    sharpness: float
    explained: float
    left: float

    def is_all(self, explained: float = _ITS_OWN) -> bool:
        """Whether it is nothing else, if so much of it comes back."""
        return self.sharpness >= _SHARP and self.explained >= explained


def likeness(heard: np.ndarray, played: np.ndarray, *, sharp: float = 0.0) -> Likeness:
    """Compare what was heard with what was played.

    Args:
        heard: The microphone's sound, `RECENT_SECS` or more of it, at `RATE`.
        played: The bot's, for `LATEST_SECS` longer, up to the same moment.
        sharp: Where the delay stands out less, nothing counts as explained: the sum of copies,
            which takes longest, is left out.
    """
    heard, played = _emphasised(heard), _emphasised(played)
    latest = len(played) - len(heard)
    size = 1 << (len(played) - 1).bit_length()
    delay, sharpness = _delay(heard, played, latest, size)
    if sharpness < sharp:
        return Likeness(sharpness=sharpness, explained=0.0, left=1.0)
    copies = round(_COPIES_SECS * RATE)
    # The first copy begins this far into what was played, the last one `copies` samples before.
    start = latest - delay + round(_EARLIER_SECS * RATE)
    around = np.pad(played, (copies, round(_EARLIER_SECS * RATE)))
    source = around[start + 1 : start + copies + len(heard)]
    recent = heard[-round(RECENT_SECS * RATE) :]
    rest = recent - np.convolve(source, _fit(heard, source, copies, size), "valid")[-len(recent) :]
    energy = float(rest @ rest)
    return Likeness(
        sharpness=sharpness,
        explained=1 - energy / max(float(recent @ recent), 1e-9),
        left=energy / len(recent) / max(float(np.mean(heard**2)), 1e-9),
    )


def _delay(heard: np.ndarray, played: np.ndarray, latest: int, size: int) -> tuple[int, float]:
    """The delay at which they are most alike, in samples, and how far it stands out."""
    cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    tones = np.fft.rfftfreq(size, 1 / RATE)
    loud = np.abs(cross)
    weights = (loud + 1e-3 * loud.max() + 1e-9) ** -_WHITENING
    weights[(tones < _TONES[0]) | (tones > _TONES[1])] = 0.0
    alike = np.fft.irfft(cross * weights, size)[-latest:]
    delay = int(np.argmax(alike))
    return delay, float(alike[delay] / max(float(np.sqrt(np.mean(alike**2))), 1e-9))


def _fit(heard: np.ndarray, source: np.ndarray, copies: int, size: int) -> np.ndarray:
    """How loud each copy is, so that all of them come nearest to what was heard."""
    own = np.fft.rfft(source[copies - 1 :], size)
    among = np.fft.irfft(np.abs(own) ** 2, size)[:copies]
    with_heard = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(source, size)), size)
    places = np.arange(copies)
    alike = among[np.abs(places[:, None] - places)]
    alike[places, places] += _STEADINESS * among[0] + 1e-6
    return np.linalg.solve(alike, with_heard[places - copies + 1])


def _emphasised(samples: np.ndarray) -> np.ndarray:
    return np.append(samples[:1], samples[1:] - _EMPHASIS * samples[:-1])


class _Sound:
    """The last of a sound.

    Args:
        kept_secs: How much of it, in seconds.
    """

    def __init__(self, kept_secs: float) -> None:
        self._kept_secs = kept_secs
        self._audio = bytearray()
        self._rate = RATE

    def add(self, audio: bytes, rate: int) -> None:
        """Take in what comes next, as 16-bit mono samples."""
        if rate != self._rate:
            self._audio.clear()
            self._rate = rate
        self._audio += audio
        del self._audio[: max(0, len(self._audio) - 2 * round(self._kept_secs * rate))]

    def clear(self) -> None:
        """Forget it."""
        self._audio.clear()

    def last(self, secs: float) -> np.ndarray:
        """So many seconds at `RATE`, with silence before what there is."""
        samples = np.frombuffer(bytes(self._audio), np.int16).astype(np.float32)
        samples = np.asarray(soxr.resample(samples, self._rate, RATE), np.float64)
        wanted = round(secs * RATE)
        return np.pad(samples, (max(0, wanted - len(samples)), 0))[-wanted:]


class OwnVoice:
    """Keeps what was heard and played last in one call, and compares it when it is asked.

    Args:
        clock: Tells the time in seconds, and is never set.

    Attributes:
        found: Whether the bot's own voice has come back in this call.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has been heard yet."""
        self.found = False
        self._clock = clock
        self._heard = _Sound(HEARD_SECS)
        self._played = _Sound(_PLAYED_SECS + _AHEAD_SECS)
        # Up to when what was played goes on.
        self._played_until = float("-inf")

    def play(self, audio: bytes, rate: int) -> None:
        """The bot begins to play a piece of sound: 16-bit mono samples."""
        now = self._clock()
        silent_secs = min(now - self._played_until, _PLAYED_SECS) // _PACKET_SECS * _PACKET_SECS
        if silent_secs > 0:
            self._played.add(bytes(2 * round(silent_secs * rate)), rate)
            self._played_until = max(self._played_until + silent_secs, now - _PACKET_SECS)
        self._played.add(audio, rate)
        self._played_until += len(audio) / 2 / rate

    def hear(self, audio: bytes, rate: int) -> None:
        """A piece of sound came from the microphone: 16-bit mono samples."""
        if self._may_come_back():
            self._heard.add(audio, rate)
        else:
            self._heard.clear()

    def is_alone(self) -> bool:
        """Whether the voice that has just been noticed is the bot's, and nobody else's."""
        alone = self._may_come_back() and self._is_alike()
        self.found = self.found or alone
        return alone

    def is_spoken_over(self) -> bool:
        """Whether somebody else speaks now, while the voice was the bot's until here."""
        if not self._may_come_back():
            return True
        compared = self._compared(HEARD_SECS)
        over = compared.explained < _NOT_ALL and compared.left > _LOUD
        return over and not self._compared(BRIEF_SECS, sharp=_SHARP).is_all()

    def _is_alike(self) -> bool:
        enough = _ITS_OWN_AGAIN if self.found else _ITS_OWN
        lengths = (HEARD_SECS, BRIEF_SECS)
        return any(self._compared(secs, sharp=_SHARP).is_all(enough) for secs in lengths)

    def _may_come_back(self) -> bool:
        return self._clock() - self._played_until < _PLAYED_SECS

    def _compared(self, secs: float, *, sharp: float = 0.0) -> Likeness:
        ahead_secs = self._played_until - self._clock()
        ahead, silent = round(max(0.0, ahead_secs) * RATE), round(max(0.0, -ahead_secs) * RATE)
        played = self._played.last(secs + LATEST_SECS + ahead / RATE)
        played = np.pad(played[: len(played) - ahead], (0, silent))[silent:]
        return likeness(self._heard.last(secs), played, sharp=sharp)
