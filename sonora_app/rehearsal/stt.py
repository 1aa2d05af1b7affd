"""The recogniser's stand-in: reports that somebody spoke, and for how long, but not what."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
from pipecat.audio.vad.vad_analyzer import VAD_STOP_SECS
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    UserAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.transcriptions.language import Language as PipecatLanguage
from pipecat.utils.time import time_now_iso8601

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.heard import write_heard

_LATENCY_SECS = VAD_STOP_SECS + 0.05
"""From the end of speech to the transcript. All of it but a few milliseconds is the silence by
which voice activity detection knows that the speech has ended; the rest is room to spare."""

_WINDOW_SECS = 0.02
_BELOW_PEAK = 0.1
"""A window of speech is within 20 dB of the loud ones."""
_ABOVE_NOISE = 2.0
"""And 6 dB louder than the quiet ones, where there is but noise."""
_PEAK_RANK = 0.95
"""Which window of a segment stands for the loud ones, among all from quiet to loud."""
_NOISE_RANK = 0.1
"""And which for the quiet ones."""


class RehearsalSTTService(SegmentedSTTService):
    """Reports one transcript per stretch of speech, with the length of it in place of the words.

    The text is the line `rehearsal.heard`. The length is that of the speech itself: see
    `speech_secs`. What is said while the service is muted is not reported.

    Args:
        lines: The fixed lines, in the language of the call.
        latency_secs: From the end of speech to the transcript, in seconds.
    """

    def __init__(self, lines: Lines, *, latency_secs: float = _LATENCY_SECS) -> None:
        """Create the service."""
        super().__init__(
            trailing_silence_secs=0,
            ttfs_p99_latency=latency_secs,
            settings=STTSettings(model=None, language=PipecatLanguage(lines.language)),
        )
        self._lines = lines
        self._speaker_id = ""

    def set_lines(self, lines: Lines) -> None:
        """Report in another language from now on."""
        self._lines = lines

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: it does."""
        return True

    @property
    def wants_wav_segments(self) -> bool:
        """Whether `run_stt` takes a WAV file: no, bare samples."""
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None]:
        """Report a stretch of speech.

        Args:
            audio: 16-bit mono PCM at the service's sample rate, from up to a second before the
                speech to the moment its end was noticed.

        Yields:
            The one transcript.
        """
        if not any(audio):
            return  # the service was muted
        secs = await asyncio.to_thread(speech_secs, audio, self.sample_rate)
        yield TranscriptionFrame(
            text=write_heard(secs, self._lines),
            user_id=self._speaker_id,
            timestamp=time_now_iso8601(),
            language=PipecatLanguage(self._lines.language),
        )

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Keep the audio, or silence while the service is muted: Pipecat's segments do not heed
        that."""
        self._speaker_id = frame.user_id if isinstance(frame, UserAudioRawFrame) else ""
        if self.is_muted:
            frame = InputAudioRawFrame(bytes(len(frame.audio)), frame.sample_rate, 1)
        await super().process_audio_frame(frame, direction)


def speech_secs(audio: bytes, sample_rate: int) -> float:
    """How long the speech in a segment is, from its first sound to its last, in seconds.

    Pauses within count, the silence around does not: the segment is cut in windows of 20 ms,
    and what lies between the first and the last loud one is the speech. A window is loud when it
    is within 20 dB of the loudest ones and at least 6 dB above the noise of the quietest. Steady
    noise louder than that hides the ends, and the segment counts whole.

    Args:
        audio: 16-bit mono PCM.
        sample_rate: Of `audio`, in Hz.
    """
    window = max(1, int(_WINDOW_SECS * sample_rate))
    samples = np.frombuffer(audio, dtype="<i2", count=len(audio) // 2)
    whole = len(samples) // window
    if whole == 0:
        return 0.0
    windows = samples[: whole * window].reshape(whole, window).astype(np.float32)
    loudness = windows.std(axis=1)
    ranked = np.sort(loudness)
    peak, noise = ranked[int(_PEAK_RANK * (whole - 1))], ranked[int(_NOISE_RANK * (whole - 1))]
    loud = np.flatnonzero(loudness >= max(_BELOW_PEAK * peak, _ABOVE_NOISE * noise, 1.0))
    if len(loud) == 0:
        return whole * window / sample_rate
    return float(loud[-1] - loud[0] + 1) * window / sample_rate
