"""A Cartesia service that remembers only what was heard, and reports speech that was lost.

Speech may end early: the connection drops, no audio comes for some seconds, a text cannot be sent,
or Cartesia reports an error. Pipecat then counts the rest of the text as spoken, speaks the text
that follows the gap, and never reports the end of the speech; a greeting would never be over. Here
the rest of the text is dropped, nothing more is said in that turn, and the end is reported at once.

Pipecat calls the speech of one turn an audio context. Audio contexts play one after another.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    AggregatedTextProgressFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.context.word_timestamp_tracker import WordTimestampTracker
from pipecat.utils.time import seconds_to_nanoseconds
from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

from sonora_app.vendors.cartesia.clauses import ClauseAggregator
from sonora_app.vendors.cartesia.kept_lines import KeptLinesCartesiaTTSService
from sonora_app.vendors.failover import SPEECH_LOST

RECONNECT_SECS = 0.2
"""The least time between a failed attempt and the next. Pipecat makes the second one at once."""

RECOVERY_SECS = 2.0
"""Speech that is lost again at least this long after the first loss, in seconds, with none heard to
its end in between, means that the voice is out of order."""


class HeardCartesiaTTSService(KeptLinesCartesiaTTSService):
    """Cartesia's voice, which accounts for speech that breaks off.

    Args:
        **kwargs: As for `KeptLinesCartesiaTTSService`.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service; it connects when it is set up."""
        super().__init__(**kwargs)
        # Where Cartesia's service sets its own.
        self._text_aggregator = ClauseAggregator()
        # The contexts of which Cartesia said that all is there, and those that it told an error of.
        self._complete: set[str] = set()
        self._failed: set[str] = set()
        self._lost_since: float | None = None
        self._connecting = asyncio.Lock()
        self._connect_failed_at = 0.0
        # The connection that each context's texts were sent by, and the contexts that broke off.
        self._sent_by: dict[str, Any] = {}
        self._broken_off: set[str] = set()
        # When the audio so far will have been played, by the pipeline's clock, in nanoseconds.
        self._played_at = 0

    @property
    def _words(self) -> WordTimestampTracker:
        """When the words of the context that plays are heard."""
        return self._word_timestamp_tracker

    @property
    def _connected_by(self) -> ClientConnection | None:
        """The present connection."""
        return self._websocket  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; an interruption ends what is playing."""
        if isinstance(frame, InterruptionFrame):
            self._played_at = 0
        await super().process_frame(frame, direction)

    # --- Connecting, and what is lost with a connection

    async def _connect_websocket(self) -> None:
        # After a drop, a text that is to be spoken connects as well as the task that listens:
        # with two connections, one would speak and the other be listened to.
        async with self._connecting:
            if time.monotonic() - self._connect_failed_at < RECONNECT_SECS:
                return
            await super()._connect_websocket()
            if self._connected_by is None:
                self._connect_failed_at = time.monotonic()
        await self._break_off_all_but(self._connected_by)

    async def _close_connection_contexts(self) -> None:
        # Pipecat's method speaks the rest of the turn in a fresh context, after a gap.
        await self._break_off_all_but(None)

    async def _break_off_all_but(self, connection: Any) -> None:  # noqa: ANN401
        for context_id, sent_by in [*self._sent_by.items()]:
            if sent_by is not connection:
                await self._break_off(context_id)

    async def _break_off(self, context_id: str) -> None:
        """End a context after the audio that has come for it."""
        self._sent_by.pop(context_id, None)
        self._broken_off.add(context_id)
        await self.remove_audio_context(context_id)

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Report an error, and end the context that it is about."""
        await super().push_error_frame(error, force_treat_as_permanent)
        for context_id in [*self._sent_by]:
            if context_id in error.error:
                await self._break_off(context_id)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame. Speech begins and ends by the same clock as its words."""
        if isinstance(frame, TTSStoppedFrame) and frame.pts is None:
            return  # Pipecat tells it as soon as Cartesia reports an error, before the last word
        if isinstance(frame, TTSStartedFrame):
            # Beside the sound, which may lag, it would come after the words, and open a turn that
            # nothing closes.
            # The end of the line before is 1 ns after its words.
            last_pts = self._words.last_pts
            frame.pts = max(last_pts + 2, self.get_clock().get_time())
        await super().push_frame(frame, direction)

    # --- Asking for speech

    async def _speak_text(self, src_frame: AggregatedTextFrame, text: str, context_id: str) -> None:
        connection = self._sent_by.get(context_id)
        if connection is not None and connection.state is not State.OPEN:
            await self._break_off(context_id)
        # Pipecat would open the context once more, and wait 3 s for sound before the next one is
        # heard; and put into the log what a voice that is unusable does not say.
        if self.is_usable and context_id not in self._broken_off:
            await super()._speak_text(src_frame, text, context_id)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None]:
        """Speak `text`, or break the context off if it cannot be sent."""
        sent = True
        async for frame in super().run_tts(text, context_id):
            sent = sent and not isinstance(frame, ErrorFrame)
            yield frame
        if not sent:
            await self._break_off(context_id)
        elif context_id in self._asked:
            self._sent_by[context_id] = self._connected_by

    async def flush_audio(self, context_id: str | None = None) -> None:
        """Tell Cartesia that a context ends, unless it has ended already."""
        if context_id not in self._broken_off:
            await super().flush_audio(context_id)

    # --- Playing what comes

    async def _next_audio_context_item(self, context_id: str) -> Any:  # noqa: ANN401
        item = await super()._next_audio_context_item(context_id)
        while item is None and self._awaits_text(context_id):
            item = await super()._next_audio_context_item(context_id)
        return item

    def _awaits_text(self, context_id: str) -> bool:
        """Whether a silence is that of the model, which bounds it itself (llm.py)."""
        return context_id == self._turn_context_id and (
            context_id in self._sent_by or self._is_own(context_id)
        )

    async def _push_audio_context_item(
        self,
        context_id: str,
        item: Any,  # noqa: ANN401  # a frame, or a type of Pipecat's own
        playback: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(item, TTSAudioRawFrame):
            self._follow(item)
        elif isinstance(item, ErrorFrame):
            self._failed.add(context_id)
        elif isinstance(item, TTSStoppedFrame):
            if context_id in self._failed:
                return  # told when the context ends
            self._complete.add(context_id)
        await super()._push_audio_context_item(context_id, item, playback)

    def _follow(self, audio: TTSAudioRawFrame) -> None:
        # Pipecat times the words of a context from the last word before it, where that one begins:
        # of two lines in a row, the second would be told while the first is still heard.
        words = self._words
        if not words.started:
            words.last_pts = max(words.last_pts, self._played_at)
            self._played_at = max(words.last_pts, self.get_clock().get_time())
        self._played_at += seconds_to_nanoseconds(audio.num_frames / audio.sample_rate)

    async def _apply_force_complete(self, context_id: str) -> None:
        if context_id in self._complete:
            await super()._apply_force_complete(context_id)
            return
        last_pts = self._words.last_pts
        for frame in self._aggregated_frame_sequencer.force_complete(context_id, last_pts):
            if not isinstance(frame, TTSTextFrame | AggregatedTextProgressFrame):
                await self.push_frame(frame)

    async def _end_audio_context(self, context_id: str, playback: Any) -> None:  # noqa: ANN401
        if context_id not in self._complete:
            await self._apply_force_complete(context_id)
            stopped = TTSStoppedFrame(context_id=context_id)
            # After the last word, as Pipecat has it when Cartesia tells the end.
            stopped.pts = self._words.last_pts
            await self.push_frame(stopped)
            connection = self._sent_by.get(context_id)
            if connection is not None and connection.state is State.OPEN:
                # Nothing comes by a connection that is open: the next text gets a fresh one.
                connection.transport.abort()
            self._broken_off.add(context_id)
        await super()._end_audio_context(context_id, playback)
        self._forget_outcome(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Forget a context, and cancel it at Cartesia."""
        self._forget_outcome(context_id)
        await super().on_audio_context_interrupted(context_id)

    def _forget_outcome(self, context_id: str) -> None:
        self._sent_by.pop(context_id, None)
        self._complete.discard(context_id)
        self._failed.discard(context_id)

    async def _record_context_audio_outcome(self, context_id: str, received_audio: bool) -> None:
        # Pipecat reports speech of which nothing was heard; speech that broke off is lost as well.
        if context_id in self._complete:
            self._lost_since = None
        elif self.is_usable:
            now = time.monotonic()
            lost_since = self._lost_since = self._lost_since or now
            await self.push_error(
                SPEECH_LOST, force_treat_as_permanent=now - lost_since >= RECOVERY_SECS
            )
