"""The voice's stand-in: espeak-ng inside this process, in Spanish and English."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language as PipecatLanguage
from pipecat.utils.text.transforms import strip_markdown
from pipecat.utils.time import nanoseconds_to_seconds

from sonora_app.rehearsal.espeak import Speech, load_engine
from sonora_app.settings import Language

_VOICES = {"es": "es-419", "en": "en-us"}
"""espeak-ng's voice for a language: Latin American Spanish and American English."""


class Speaks(Protocol):
    """What makes audio of text, such as `espeak.Engine`."""

    @property
    def sample_rate(self) -> int:
        """Of the audio it makes, in Hz."""
        ...

    def speak(self, text: str, voice: str) -> AsyncGenerator[Speech]:
        """Speak `text` with espeak-ng's voice of this name, or with another that it has.

        Raises:
            RuntimeError: It cannot.
        """
        ...


class RehearsalTTSService(TTSService):
    """Speaks text with espeak-ng, and says when each word is heard.

    Audio goes out as it is made, at the pipeline's sample rate. The words follow it one by one,
    timed, as they do with Cartesia: what of an answer reaches the context is what was heard. An
    interruption stops the making at once. The language can be changed by a
    `TTSUpdateSettingsFrame`; a voice or a model in it is another vendor's and is left aside.

    Args:
        language: What is spoken at first.

    Raises:
        SettingsError: espeak-ng is not installed.
    """

    def __init__(self, language: Language) -> None:
        """Create the service; the library is loaded by the first of a process."""
        self._engine = load_engine()
        super().__init__(
            push_text_frames=False,
            push_start_frame=True,
            push_stop_frames=True,
            text_transforms=[("*", strip_markdown)],
            settings=TTSSettings(model=None, voice=None, language=PipecatLanguage(language)),
        )
        self.speak_with(language)
        self._timeline = _Timeline()
        self._to_pipeline_rate: dict[int, SOXRStreamAudioResampler] = {}

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: it does."""
        return True

    def language_to_service_language(self, language: PipecatLanguage) -> str:
        """The espeak-ng voice that speaks `language`."""
        return _voice_of(language)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None]:
        """Speak `text`.

        Args:
            text: A sentence, or whatever is to be said in one go.
            context_id: The turn it belongs to.

        Yields:
            16-bit mono PCM at the service's sample rate, or an ErrorFrame.
        """
        await self.start_tts_usage_metrics(text)
        start_secs = self._timeline.begin(context_id, self._now_secs())
        samples, last_word_secs = 0, 0.0
        speaker = self.speaker()
        made_at = speaker.sample_rate
        resampler = self._to_pipeline_rate.setdefault(made_at, SOXRStreamAudioResampler())
        # What an interrupted sentence left in the filter is no part of this one.
        await resampler.reset()
        try:
            async with aclosing(speaker.speak(text, self._voice)) as speech:
                async for piece in speech:
                    audio = await resampler.resample(piece.audio, made_at, self.sample_rate)
                    if audio:
                        samples += len(audio) // 2
                        yield self._audio(audio, context_id)
                    if piece.words:
                        last_word_secs = piece.words[-1][1]
                        await self.add_word_timestamps(
                            [(word, start_secs + secs) for word, secs in piece.words], context_id
                        )
                    # Pieces that are made already come without a wait: let others run.
                    await asyncio.sleep(0)
        except RuntimeError as error:
            yield ErrorFrame(error=f"Speech synthesis failed: {error}", exception=error)
            # Pipecat closes a turn by itself only after audio.
            await self.remove_audio_context(context_id)
            return
        if audio := await resampler.flush():
            samples += len(audio) // 2
            yield self._audio(audio, context_id)
        self._timeline.end(samples / self.sample_rate, last_word_secs)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame as any voice does, and forget at an interruption what was to come."""
        if isinstance(frame, InterruptionFrame):
            self._timeline = _Timeline()
        elif isinstance(frame, TTSUpdateSettingsFrame) and frame.delta is not None:
            # A delta made for Cartesia names a voice of Cartesia's.
            language = frame.delta.language
            frame.delta = TTSSettings(language=language)
            if isinstance(language, str):
                self.speak_with(language)
        await super().process_frame(frame, direction)

    def speaker(self) -> Speaks:
        """Who speaks the next text."""
        return self._engine

    def speak_with(self, language: str) -> None:
        """Speak another language from now on."""
        self._voice = _voice_of(language)
        self._engine.prepare(self._voice)

    def _now_secs(self) -> float:
        return nanoseconds_to_seconds(self.get_clock().get_time())

    def _audio(self, audio: bytes, context_id: str) -> Frame:
        return TTSAudioRawFrame(audio, self.sample_rate, 1, context_id=context_id)


def _voice_of(language: str) -> str:
    base = language.split("-")[0].lower()
    return _VOICES.get(base, base)


class _Timeline:
    """When that which is made now will be heard, in seconds of the pipeline's clock.

    Audio is made faster than it is heard. Pipecat takes the times of a turn's words from the
    turn's first audio, or from the last word of the turn before if that comes later. A sentence
    is heard when the one before it ends, be it of another turn, or now, if the model was slow.
    """

    def __init__(self) -> None:
        self._context_id = ""
        self._origin = 0.0
        self._begins = 0.0
        self._silent_from = 0.0
        self._last_word = 0.0

    def begin(self, context_id: str, now: float) -> float:
        """A sentence begins to be made; its words are to be shifted by the seconds returned."""
        if context_id != self._context_id:
            self._context_id = context_id
            self._origin = max(now, self._last_word)
        self._begins = max(now, self._silent_from)
        return self._begins - self._origin

    def end(self, secs: float, last_word_secs: float) -> None:
        """The sentence is made: it takes `secs`, its last word comes at `last_word_secs`."""
        self._silent_from = self._begins + secs
        self._last_word = self._begins + last_word_secs
