"""Speaks with espeak-ng inside this process: text in, audio and the time of each word out.

The library keeps its state (voice, callback, buffers) per process. So there is one `Engine` for all
calls, and all its work happens on one thread. A sentence takes a few milliseconds, so calls that
speak at the same time hardly wait for each other.
"""

import asyncio
import ctypes
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from sonora_app.rehearsal.espeak_library import EVENT_LIST_TERMINATED, EVENT_WORD, load_library
from sonora_app.rehearsal.word_slicer import WordSlicer
from sonora_app.rehearsal.written_out import written_out

_GO_ON = 0
_STOP = 1


@dataclass(frozen=True)
class Speech:
    """A piece of an utterance, as it was made.

    Parameters:
        audio: 16-bit mono PCM at the engine's sample rate; may be empty.
        words: Words of the text with their punctuation, in order, each with the seconds from
            the start of the utterance to its first sound. All the words of an utterance, joined
            with spaces, are its text.
    """

    audio: bytes
    words: tuple[tuple[str, float], ...]


class _Utterance:
    """One text on its way through the engine: made on its thread, awaited on a loop's."""

    def __init__(self, text: str, voice: str) -> None:
        # To the library a NUL ends the text. One character stands for one, so positions hold.
        self.text = text.replace("\0", " ")
        self.voice = voice
        self.read = written_out(self.text, voice)
        self.slicer = WordSlicer(self.text, self.read)
        self.unwanted = False
        self.error: Exception | None = None
        self._ended = False
        self._pieces = deque[Speech]()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    # --- On the engine's thread

    def add(self, audio: bytes, words: Iterable[tuple[str, float]]) -> None:
        self._pieces.append(Speech(audio, tuple(words)))
        self._tell()

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop is closed: nobody waits for it any more
            self.unwanted = True

    # --- On the loop

    async def more(self) -> bool:
        """Wait until `take` has something, or there is nothing more to come."""
        while not self._pieces and not self._ended:
            # News that comes between here and the wait is told by the loop, after this.
            self._news.clear()
            await self._news.wait()
        return bool(self._pieces)

    def take(self, max_bytes: int) -> Speech:
        """All that is made and not taken yet, up to `max_bytes` of audio or a little more."""
        audio, words = bytearray(), list[tuple[str, float]]()
        while self._pieces and len(audio) < max_bytes:
            piece = self._pieces.popleft()
            audio += piece.audio
            words += piece.words
        return Speech(bytes(audio), tuple(words))


class Engine:
    """The library and its thread. Take it from `load_engine`.

    Raises:
        SettingsError: The library is not installed, or does not work here.
    """

    def __init__(self) -> None:
        """Load the library and start it."""
        self._current: _Utterance | None = None
        self._voice = ""
        self._library = load_library(self._on_audio)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espeak")

    @property
    def sample_rate(self) -> int:
        """Of the audio it makes, in Hz."""
        return self._library.sample_rate

    def prepare(self, voice: str) -> None:
        """Have `voice` at hand, in the background, so that the first words do not wait for it."""
        self._thread.submit(self._choose, voice)

    async def speak(
        self, text: str, voice: str, *, max_chunk_secs: float = 0.5
    ) -> AsyncGenerator[Speech]:
        """Speak `text`, piece by piece as it is made. Closing the generator stops the making.

        Args:
            text: What to say.
            voice: The name of an espeak-ng voice, such as `es-419` or `en-us`.
            max_chunk_secs: About how much audio a piece may hold, in seconds.

        Raises:
            RuntimeError: There is no such voice, or the library fails.
        """
        utterance = _Utterance(text, voice)
        max_bytes = int(max_chunk_secs * self.sample_rate) * 2
        self._thread.submit(self._make, utterance)
        try:
            while await utterance.more():
                yield utterance.take(max_bytes)
            if utterance.error is not None:
                raise utterance.error
        finally:
            utterance.unwanted = True

    # --- On the engine's thread

    def _make(self, utterance: _Utterance) -> None:
        if utterance.unwanted:
            return
        self._current = utterance
        try:
            self._choose(utterance.voice)
            self._library.synth(utterance.read)
            utterance.add(b"", utterance.slicer.end())
            utterance.end()
        except Exception as error:  # noqa: BLE001  # it belongs to whoever asked to speak
            utterance.end(error)
        finally:
            self._current = None

    def _choose(self, voice: str) -> None:
        if voice == self._voice:
            return
        self._voice = ""
        self._library.set_voice(voice)
        self._voice = voice

    def _on_audio(self, samples: int | None, count: int, events: Any) -> int:  # noqa: ANN401
        # Holds the interpreter's lock, which the event loop needs: copy and go.
        utterance = self._current
        if utterance is None or utterance.unwanted:
            return _STOP
        words = list[tuple[str, float]]()
        index = 0
        while (event := events[index]).type != EVENT_LIST_TERMINATED:
            if event.type == EVENT_WORD:
                # Positions count from 1, and moments in milliseconds.
                words += utterance.slicer.begin(
                    event.text_position - 1, event.audio_position / 1000
                )
            index += 1
        audio = ctypes.string_at(samples, count * 2) if samples and count > 0 else b""
        if audio or words:
            utterance.add(audio, words)
        return _GO_ON


_loading = threading.Lock()
"""Two calls that start at once must not load the library twice: its state would be shared."""


def load_engine() -> Engine:
    """The engine of this process. The first call loads it, which takes about 20 ms.

    Any thread may ask for it.

    Raises:
        SettingsError: The optional dependency is not installed, or does not work here.
    """
    with _loading:
        return _engine()


@cache
def _engine() -> Engine:
    return Engine()
