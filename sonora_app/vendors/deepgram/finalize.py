"""A service for Nova, Deepgram's model, that asks for the transcript when the user pauses.

Deepgram transcribes as the audio comes, but keeps back the last words until it is sure of them or
is told to finalize. Pipecat tells it to finalize when Silero reports the end of speech. This
service tells it when the user falls silent, so that the transcript is there by the time that the
turn ends. If the user goes on, the transcript is divided into two results at that pause. Deepgram
also divides it by itself, at pauses of 10 ms.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from deepgram.listen.v1.types import ListenV1Finalize, ListenV1Results
from pipecat.frames.frames import (
    ControlFrame,
    Frame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.vendors.deepgram.connection import LastingDeepgramSTTService
from sonora_app.vendors.frames import UserHushedFrame, UserResumedFrame, UserSpokeBrieflyFrame

_SLACK_SECS = 0.1
"""A result may end this much before the end of speech, in seconds, and still hold all of it,
because Deepgram's times are those of its frames."""


_BRIEF_SECS = 0.2
"""The longest voice that Silero does not report, in seconds."""


@dataclass
class AllTranscribedFrame(ControlFrame):
    """What the user said up to this pause has been transcribed, and nothing more is to come."""


class PromptDeepgramSTTService(LastingDeepgramSTTService):
    """Nova, told to finalize when the user falls silent.

    Args:
        **kwargs: As for `LastingDeepgramSTTService`.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service."""
        super().__init__(**kwargs)
        # Positions in the audio of the present connection, in seconds, as Deepgram counts them.
        self._resumed_secs = 0.0
        self._speech_ended_secs: float | None = None
        self._listening_on: object | None = None
        self._covered = True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Finalize as the user falls silent."""
        await super().process_frame(frame, direction)
        match frame:
            case UserHushedFrame() | UserSpokeBrieflyFrame():
                # A hush may come before the last of a word. It is asked for again once the voice is
                # over: here after a short one, and by Pipecat where Silero has reported it.
                if isinstance(frame, UserSpokeBrieflyFrame):
                    self.note_voice(_BRIEF_SECS + frame.quiet_secs)
                await self._finalize(frame.quiet_secs)
            case UserResumedFrame():
                self._speech_ended_secs, self._resumed_secs = None, self.sent_secs
                self._untranscribed = True
            case VADUserStartedSpeakingFrame():
                self._speech_ended_secs, self._resumed_secs = None, 0.0
            case _:
                pass

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None]:
        """Send audio. What is known of positions is of no use with another connection."""
        if self.line is not self._listening_on:
            self._listening_on = self.line
            self._speech_ended_secs, self._resumed_secs = None, 0.0
        async for frame in super().run_stt(audio):
            yield frame

    def confirm_finalize(self) -> None:
        """Take a result for final only if it reaches to where the present pause began."""
        if self._covered:
            super().confirm_finalize()

    async def _finalize(self, quiet_secs: float) -> None:
        connection = self.line
        if connection is None:
            return
        self._speech_ended_secs = self.sent_secs - quiet_secs
        self.request_finalize()
        await connection.send_finalize(ListenV1Finalize(type="Finalize"))

    def _reaches_end(self, result: Any) -> bool:  # noqa: ANN401  # a message of Deepgram's, or none
        ended = self._speech_ended_secs
        if ended is None or not isinstance(result, ListenV1Results):
            return False
        # A result asked for in an earlier silence may be early by less than the slack.
        least = max(ended - _SLACK_SECS, self._resumed_secs)
        return result.start + result.duration >= least

    async def _on_message(self, message: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        reaches_end = self._reaches_end(message)
        # It belongs to a silence after which the user went on: ignore it.
        unasked = self._speech_ended_secs is None and not self._resumed_secs
        self._covered = reaches_end or unasked
        await super()._on_message(message)
        if reaches_end and message.from_finalize:
            await self.push_frame(AllTranscribedFrame())
