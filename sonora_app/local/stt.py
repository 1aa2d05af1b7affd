"""A call's recogniser on this machine: Whisper, which begins in a pause of the speech."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language as PipecatLanguage
from pipecat.utils.time import time_now_iso8601

from sonora_app.flow.lines import Lines
from sonora_app.local.hearing import Hearing
from sonora_app.local.recognition import RATE, Recognised, Recogniser
from sonora_app.rehearsal.stt import RehearsalSTTService
from sonora_app.settings import Language
from sonora_app.vendors.frames import UserPausedFrame, UserResumedFrame

_LATENCY_SECS = 1.0
"""From the end of speech to the transcript, at most, where the processors are not busy."""

_PREROLL_SECS = 1.0
"""What is kept from before the speech was noticed, as Pipecat keeps it."""

_DOUBT = -0.7
"""The likelihood below which the speech may be in the other language."""
_LONG_SECS = 1.5
_SURE = 0.8
"""The length from which the language can be told, and the probability from which it counts: one
word of Spanish passes for English."""
_PLAIN = 0.95
"""The same from which the language counts whatever the words are worth in the other one."""


@dataclass
class _Begun:
    """A recognition that was begun in a pause."""

    wanted: bool = True
    result: "asyncio.Future[tuple[Recognised, Language]] | None" = None


class LocalSTTService(RehearsalSTTService):
    """Recognises speech with the model of this process; until that is ready it rehearses.

    Pipecat's `WhisperSTTService` loads the model where it is made, takes any sample rate for
    16,000, and leaves out short answers. So its base class is used here, by way of the
    rehearsal's.

    Args:
        lines: The fixed lines, in the language of the call.
        hearing: How far the model is.
        either: Whether the language may change, and so is told of each longer stretch. Whisper
            writes English down as English where it is told to expect Spanish, without doubting.
    """

    def __init__(self, lines: Lines, hearing: Hearing, *, either: bool = False) -> None:
        """Create the service. Nothing is loaded."""
        super().__init__(lines, latency_secs=_LATENCY_SECS)
        self._either = either
        self._hearing = hearing
        self._language = lines.language
        self._sound = bytearray()
        self._speaking = False
        self._begun: _Begun | None = None
        self._ended: deque[_Begun | None] = deque()

    @property
    def is_real(self) -> bool:
        """Whether words are recognised, and not only that somebody speaks."""
        return self._hearing.part is not None

    def set_lines(self, lines: Lines) -> None:
        """Listen in another language from now on."""
        super().set_lines(lines)
        self._language = lines.language

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin to recognise in a pause, and drop it where the user goes on."""
        match frame:
            case VADUserStartedSpeakingFrame():
                self._speaking = True
                self._drop()
            case UserPausedFrame() if self._speaking:
                self._drop()
                self._begin()
            case UserResumedFrame():
                self._drop()
            case VADUserStoppedSpeakingFrame():
                self._speaking = False
                self._ended.append(self._begun)
                self._begun = None
                # What has been said is in no later stretch, whose words would come twice.
                self._sound.clear()
            case _:
                pass
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame. A transcript holds all that was said unless more has been said since.

        Pipecat's base class, which is left out here, takes each for all. An interruption must not
        drop one.
        """
        if isinstance(frame, TranscriptionFrame):
            frame.finalized = not (self._speaking or self._ended)
            frame.interruptible = False
        await STTService.push_frame(self, frame, direction)

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Keep the audio for a recognition that begins before the speech has ended."""
        self._sound += bytes(len(frame.audio)) if self.is_muted else frame.audio
        kept = int(_PREROLL_SECS * self.sample_rate) * 2
        if not self._speaking and len(self._sound) > kept:
            del self._sound[: len(self._sound) - kept]
        await super().process_audio_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None]:
        """Recognise a stretch of speech.

        Args:
            audio: 16-bit mono PCM at the service's sample rate.

        Yields:
            The one transcript; none where nothing was said.
        """
        begun = self._ended.popleft() if self._ended else None
        recogniser = self._hearing.part
        if recogniser is None:
            async for frame in super().run_stt(audio):
                yield frame
            return
        if not any(audio):
            return  # the service was muted
        if begun is None or begun.result is None:
            begun = _Begun()
            begun.result = self._recognise(recogniser, audio, begun)
        found, language = await begun.result
        if found.text:
            yield TranscriptionFrame(
                text=found.text,
                user_id="",
                timestamp=time_now_iso8601(),
                language=PipecatLanguage(language),
            )

    def _begin(self) -> None:
        recogniser = self._hearing.part
        if recogniser is None or not any(self._sound):
            return
        self._begun = _Begun()
        self._begun.result = self._recognise(recogniser, bytes(self._sound), self._begun)

    def _drop(self) -> None:
        if self._begun is not None:
            self._begun.wanted = False
            self._begun = None

    def _recognise(
        self, recogniser: Recogniser, audio: bytes, begun: _Begun
    ) -> "asyncio.Future[tuple[Recognised, Language]]":
        rate, language, either = self.sample_rate, self._language, self._either

        def work() -> tuple[Recognised, Language]:
            samples = np.frombuffer(audio, "<i2", len(audio) // 2).astype(np.float32) / 32768
            samples = np.asarray(soxr.resample(samples, rate, RATE), np.float32)
            return _recognised(recogniser, samples, language, begun, either=either)

        return asyncio.get_running_loop().run_in_executor(recogniser.worker, work)


def _recognised(
    recogniser: Recogniser,
    samples: "np.ndarray",
    language: Language,
    begun: _Begun,
    *,
    either: bool,
) -> tuple[Recognised, Language]:
    """What was said, and in which language: the call's, or plainly the other one."""
    found = recogniser.recognise(samples, language, lambda: begun.wanted)
    long = len(samples) >= _LONG_SECS * RATE
    sure = not either and found.text and found.likelihood >= _DOUBT
    if not begun.wanted or not long or sure:
        return found, language
    likeliest, share = recogniser.language_of(samples, [*Language])
    if likeliest == language or share < _SURE:
        return found, language
    other = Language(likeliest)
    again = recogniser.recognise(samples, other, lambda: begun.wanted)
    # English that was written down as Spanish is as likely as the same words in English.
    plain = either and share >= _PLAIN and again.text
    better = plain or again.likelihood > found.likelihood
    return (again, other) if better else (found, language)
