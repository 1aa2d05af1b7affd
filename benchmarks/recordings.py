"""People who speak Spanish: recordings in packages of Debian's, with their texts."""

import os
import re
from abc import abstractmethod
from functools import cache
from pathlib import Path

import av
import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.speakers import Speaker, VoiceMissingError
from benchmarks.utterance import Utterance, levelled, loudness, spread
from simulators.clients.speech import Spoken
from simulators.clients.webrtc import MIC_RATE

SHARE = Path(os.environ.get("BENCHMARK_RECORDINGS", "/usr/share"))
"""Where the packages have put them."""

_INSTALL = (
    "apt-get install tuxpaint-stamps-default asterisk-core-sounds-es-wav asterisk-prompt-es-co; "
    "or unpack the packages with dpkg -x, and name their usr/share in BENCHMARK_RECORDINGS"
)

_FRAME_SECS = 0.01
_ABOVE_FLOOR = 3.0
"""How much louder than the room somebody is who speaks: 10 dB."""
_BELOW_LOUDEST = 0.05
"""How loud they are at least, as a part of the loudest: 26 dB less."""
_MARGIN_FRAMES = 2
"""What is kept around speech, for sounds that begin or end softly."""
_CLICK_FRAMES, _APART_FRAMES = 3, 5
"""How short a sound is that is no speech, as of a switch, and how far from speech."""
_PAUSE_FRAMES = 20
"""The shortest silence that is a pause and not the closure of a consonant."""

_NUMBERS = ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"]
_WORDS = {f"digits/{digit}": word for digit, word in enumerate(_NUMBERS)} | {
    "digits/day-1": "Lunes",
    "digits/day-4": "Jueves",
    "digits/mon-3": "Abril",
    "digits/today": "Hoy",
    "digits/tomorrow": "Mañana",
    "digits/yesterday": "Ayer",
}

_SPANISH = "_desc_es.ogg"
"""What the names of Tux Paint's Spanish recordings end in."""

_MARK = re.compile(r"[,.:!]\s+")


class Recorded(Speaker):
    """Somebody of whom there are recordings; parts are said by naming them.

    Args:
        pause_secs: How long the pause is drawn out that they make themselves, where each recording
            has one; None: it stays as it is.
    """

    def __init__(self, *, pause_secs: float | None = None) -> None:
        """Set up; recordings are read when they are said."""
        self._pause_secs = pause_secs

    async def say(self, *parts: str | float) -> Utterance:
        """Speak, with word times that are guessed within each recording, and at its pause."""
        said: list[Spoken | float] = []
        for part in parts:
            said += self._part(part) if isinstance(part, str) else [part]
        return Utterance.joined(said)

    @abstractmethod
    def file(self, name: str) -> Path:
        """Where a recording is."""

    @abstractmethod
    def text(self, name: str) -> str:
        """What is said in it."""

    def _part(self, name: str) -> list[Spoken | float]:
        samples, text = levelled(trimmed(read(self.file(name)))), self.text(name)
        if self._pause_secs is None:
            return [spread(text, samples)]
        start, end = own_pause(samples)
        before, after = parted(text, start / (len(samples) - (end - start)))
        return [spread(before, samples[:start]), self._pause_secs, spread(after, samples[end:])]


class Volunteer(Recorded):
    """A woman at home, who names the stamps of Tux Paint, with the noise of her room."""

    name = "volunteer"
    _folder = SHARE / "tuxpaint" / "stamps"

    def names(self) -> list[str]:
        """What there is a recording of, with a Spanish text."""
        files = sorted(self._folder.rglob(f"*{_SPANISH}"))
        names = [str(file.relative_to(self._folder)).removesuffix(_SPANISH) for file in files]
        return [name for name in names if self._texts(name)]

    def pauses(self, name: str) -> bool:
        """Whether there is a pause in a recording, and punctuation where it may be."""
        if not _MARK.search(self.text(name)):
            return False
        try:
            own_pause(levelled(trimmed(read(self.file(name)))))
        except ValueError:
            return False
        return True

    def file(self, name: str) -> Path:
        """As in `people/cartoon/nurse`."""
        return self._folder / f"{name}{_SPANISH}"

    def text(self, name: str) -> str:
        """The Spanish line of the text that comes with it."""
        return re.sub("[«»]", "", self._texts(name)[0]).strip()

    def _texts(self, name: str) -> list[str]:
        lines = (self._folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        return [line.removeprefix("es.utf8=") for line in lines if line.startswith("es.utf8=")]


class _Prompter(Recorded):
    """Somebody who speaks an exchange's prompts; only those are used whose names tell all."""

    _folder: Path
    _ending: str

    def file(self, name: str) -> Path:
        """As in `digits/7`, `letters/a`."""
        return self._folder / f"{name}.{self._ending}"

    def text(self, name: str) -> str:
        """The word, or the letter."""
        return _WORDS.get(name) or name.removeprefix("letters/").upper()


class Mexican(_Prompter):
    """A woman from Mexico, in a studio, as heard by telephone."""

    name = "Mexican"
    _folder = SHARE / "asterisk" / "sounds" / "es_MX_f_Allison"
    _ending = "wav"


class Colombian(_Prompter):
    """Somebody from Colombia, as heard by a mobile telephone."""

    name = "Colombian"
    _folder = SHARE / "asterisk" / "sounds" / "es"
    _ending = "gsm"


@cache
def read(file: Path) -> np.ndarray:
    """A recording as mono samples at the microphone's rate.

    Raises:
        VoiceMissingError: It is not there.
    """
    if not file.exists():
        raise VoiceMissingError(f"{file} is missing: {_INSTALL}")
    with av.open(str(file)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono", stream.rate)
        frames = [mono for frame in container.decode(stream) for mono in resampler.resample(frame)]
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
        return soxr.resample(samples * 32_768, stream.rate, MIC_RATE)


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Speech without what is around it, told from it by the noise of its own room."""
    voiced = np.flatnonzero(_voiced(samples))
    sounds = np.split(voiced, np.flatnonzero(np.diff(voiced) > _APART_FRAMES) + 1)
    said = [sound for sound in sounds if len(sound) > _CLICK_FRAMES]
    size = int(MIC_RATE * _FRAME_SECS)
    first = max(0, said[0][0] - _MARGIN_FRAMES)
    return samples[first * size : (said[-1][-1] + 1 + _MARGIN_FRAMES) * size]


def own_pause(samples: np.ndarray) -> tuple[int, int]:
    """Where the longest silence within speech begins and ends, in samples.

    Raises:
        ValueError: There is none.
    """
    voiced = np.flatnonzero(_voiced(samples))
    gaps = np.diff(voiced)
    longest = int(np.argmax(gaps))
    if gaps[longest] <= _PAUSE_FRAMES:
        raise ValueError("there is no pause in it")
    size = int(MIC_RATE * _FRAME_SECS)
    return (
        int(voiced[longest] + 1 + _MARGIN_FRAMES) * size,
        int(voiced[longest + 1] - _MARGIN_FRAMES) * size,
    )


def parted(text: str, share: float) -> tuple[str, str]:
    """A text in two, at the punctuation that is nearest to a share of its length."""
    marks = [match.end() for match in _MARK.finditer(text)]
    nearest = min(marks, key=lambda mark: abs(mark / len(text) - share))
    return text[:nearest].strip(), text[nearest:]


def _voiced(samples: np.ndarray) -> np.ndarray:
    loud = loudness(samples, _FRAME_SECS)
    floor = float(np.percentile(loud, 10))
    return loud > min(floor * _ABOVE_FLOOR, float(loud.max()) * _BELOW_LOUDEST)
