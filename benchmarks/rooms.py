"""Noise that goes on while somebody speaks, and when nobody does."""

from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from benchmarks.recordings import Volunteer, read
from benchmarks.speakers import SYNTHESISERS
from benchmarks.utterance import LOUDNESS, levelled, loudness
from simulators.clients.webrtc import MIC_RATE

BELOW_DB = 25.0
"""How much quieter a noisy room is than the voice, in decibels."""

Room = Callable[[], Awaitable[np.ndarray]]
"""Makes a stretch of a room's noise, at the microphone's rate, to be played around and around."""

_SECS = 10
_HUM_HZ = 50.0
_FRAME_SECS = 0.01

_TALK = (
    "Y entonces le dije que no podía ser, que eso no estaba en la carta",
    "Mañana salimos temprano, si no llueve, claro, porque dicen que va a llover",
    "La cuenta, por favor, y otro café con leche para la señora de la mesa del fondo",
    "No sé si te conté lo de mi primo, el que vive en el norte con sus tres perros",
)


async def at_home() -> np.ndarray:
    """Where the recordings were made: noise of the colour and loudness that they have."""
    heard = read(Volunteer().file("medical/stethoscope"))
    return like(quietest(levelled(heard).astype(np.float64)), _SECS)


async def with_a_fan() -> np.ndarray:
    """Noise that is louder the lower it is, as of air, over the hum of the mains."""
    return as_loud_as(pink(_SECS) + hum(_SECS), _below(BELOW_DB))


async def in_a_cafe() -> np.ndarray:
    """People who talk at other tables, all at once."""
    talk = [
        (await speaker.say(text)).pcm.astype(np.float64)
        for number, text in enumerate(_TALK)
        for speaker in SYNTHESISERS[number % 2 :: 2]
    ]
    return as_loud_as(mixed(talk, _SECS), _below(BELOW_DB))


def like(sample: np.ndarray, secs: float) -> np.ndarray:
    """Noise with the spectrum and the loudness of a sample of it."""
    length = int(secs * MIC_RATE)
    chance = np.random.default_rng(1)
    spectrum = np.abs(np.fft.rfft(sample))
    places = np.linspace(0, len(spectrum) - 1, length // 2 + 1)
    sizes = np.interp(places, np.arange(len(spectrum)), spectrum)
    return as_loud_as(_with_sizes(sizes, chance, length), float(np.sqrt(np.mean(sample**2))))


def pink(secs: float) -> np.ndarray:
    """Noise with as much in each octave, as loud as 1."""
    length = int(secs * MIC_RATE)
    hertz = np.fft.rfftfreq(length, 1 / MIC_RATE)
    sizes = 1 / np.sqrt(np.maximum(hertz, 20.0))
    return as_loud_as(_with_sizes(sizes, np.random.default_rng(2), length), 1.0)


def hum(secs: float) -> np.ndarray:
    """The mains and its first overtones, as loud as 1."""
    times = np.arange(int(secs * MIC_RATE)) / MIC_RATE
    tones = [
        np.sin(2 * np.pi * _HUM_HZ * times * times_over) / times_over for times_over in (1, 2, 3)
    ]
    return as_loud_as(np.sum(tones, axis=0), 1.0)


def mixed(sounds: Sequence[np.ndarray], secs: float) -> np.ndarray:
    """All of them at once, each around and around from another place."""
    length = int(secs * MIC_RATE)
    places = np.arange(length)
    return np.sum(
        [
            np.take(sound, places + number * length // len(sounds), mode="wrap")
            for number, sound in enumerate(sounds)
        ],
        axis=0,
    )


def quietest(samples: np.ndarray) -> np.ndarray:
    """The quietest tenth of a recording: what it has of the room."""
    size = int(MIC_RATE * _FRAME_SECS)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    quiet = np.argsort(loudness(samples, _FRAME_SECS))[: len(frames) // 10]
    return frames[np.sort(quiet)].reshape(-1)


def as_loud_as(samples: np.ndarray, wanted: float) -> np.ndarray:
    """The same with another root mean square."""
    return samples * (wanted / float(np.sqrt(np.mean(samples**2))))


def _below(decibels: float) -> float:
    return LOUDNESS * 10 ** (-decibels / 20)


def _with_sizes(sizes: np.ndarray, chance: np.random.Generator, length: int) -> np.ndarray:
    turns = np.exp(2j * np.pi * chance.random(len(sizes)))
    return np.fft.irfft(sizes * turns, length)
