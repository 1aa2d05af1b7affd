"""The voice: Cartesia, of which what was heard is told, and when."""

import asyncio
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextProgressFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.time import seconds_to_nanoseconds
from websockets.protocol import State

from sonora_app.clauses import ClauseAggregator
from sonora_app.failover import SPEECH_LOST
from sonora_app.kept_lines import KeptLinesCartesiaTTSService

MAX_LOST = 3
"""How much speech in a row may be lost before the voice counts as out of order."""

CONNECT_SECS = 2.0
"""How long connecting to Cartesia may take; the start of a call waits for it."""


class HeardCartesiaTTSService(KeptLinesCartesiaTTSService):
    """Cartesia, of which no more is remembered than was heard.

    Speech may end early: the connection drops, nothing comes for some seconds, a text cannot be
    sent. Pipecat then takes the rest of the text for spoken, and does not tell that the speech
    ended, so that a greeting would never be over. Here the rest is forgotten and the end is told.

    Audio contexts, which is what Pipecat calls the speech of one turn, play one after another.

    Args:
        **kwargs: As for `KeptLinesCartesiaTTSService`.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service; it connects when it is set up."""
        super().__init__(**kwargs)
        # Where Cartesia's service sets its own.
        self._text_aggregator = ClauseAggregator(aggregation_type=self._text_aggregation_mode)
        # Of the context that plays: whether Cartesia said that all of it is there, and whether a
        # text of it could not be sent.
        self._complete = False
        self._failed = False
        self._lost_in_a_row = 0
        self._connecting = asyncio.Lock()
        # By context, the connection that its last text went out on.
        self._sent_on: dict[str, object] = {}
        # When the audio so far will have been played, by the pipeline's clock, in nanoseconds.
        self._played_at = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; an interruption ends what is playing."""
        if isinstance(frame, InterruptionFrame):
            self._played_at = 0
        await super().process_frame(frame, direction)

    async def _connect_websocket(self) -> None:
        # After a drop, a text that is to be spoken connects as well as the task that listens:
        # with two connections, one would speak and the other be listened to.
        async with self._connecting:
            await super()._connect_websocket()

    async def _synthesize_text(self, text: str, context_id: str) -> None:
        # Pipecat would put into the log what a voice that is unusable does not say.
        if self.is_usable:
            await super()._synthesize_text(text, context_id)
            self._sent_on[context_id] = self._websocket

    async def _handle_audio_context(self, context_id: str) -> None:
        self._complete = self._failed = False
        await super()._handle_audio_context(context_id)

    async def _push_audio_context_item(
        self,
        context_id: str,
        item: Any,  # noqa: ANN401  # a frame, or a type of Pipecat's own
        playback: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(item, TTSAudioRawFrame):
            self._follow(item)
        elif isinstance(item, ErrorFrame):
            self._failed = True
        elif isinstance(item, TTSStoppedFrame):
            if self._failed:
                return  # told when the context ends
            self._complete = True
        await super()._push_audio_context_item(context_id, item, playback)

    def _follow(self, audio: TTSAudioRawFrame) -> None:
        # Pipecat times the words of a context from the last word before it, where that one begins:
        # of two lines in a row, the second would be told while the first is still heard.
        words = self._word_timestamp_tracker
        if not words.started:
            words.last_pts = max(words.last_pts, self._played_at)
            self._played_at = max(words.last_pts, self.get_clock().get_time())
        self._played_at += seconds_to_nanoseconds(audio.num_frames / audio.sample_rate)

    async def _apply_force_complete(self, context_id: str) -> None:
        if self._complete:
            await super()._apply_force_complete(context_id)
            return
        last_pts = self._word_timestamp_tracker.last_pts
        for frame in self._aggregated_frame_sequencer.force_complete(context_id, last_pts):
            if not isinstance(frame, TTSTextFrame | AggregatedTextProgressFrame):
                await self.push_frame(frame)

    async def _end_audio_context(self, context_id: str, playback: Any) -> None:  # noqa: ANN401
        if not self._complete:
            await self._apply_force_complete(context_id)
            stopped = TTSStoppedFrame(context_id=context_id)
            # After the last word, as Pipecat has it when Cartesia tells the end.
            stopped.pts = self._word_timestamp_tracker.last_pts
            await self.push_frame(stopped)
            if (
                self._websocket is not None
                and self._websocket is self._sent_on.get(context_id)
                and self._websocket.state is State.OPEN
            ):
                # Nothing comes by a connection that is open: the next text gets a fresh one. One
                # made since is left alone; the next text may already be on it.
                self._websocket.transport.abort()
        self._sent_on.pop(context_id, None)
        await super()._end_audio_context(context_id, playback)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Forget a context that is cut short: it does not come to an end of its own."""
        self._sent_on.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def _record_context_audio_outcome(self, context_id: str, received_audio: bool) -> None:
        # Pipecat reports speech of which nothing was heard; speech that broke off is lost as well.
        if self._complete:
            self._lost_in_a_row = 0
        elif self.is_usable:
            self._lost_in_a_row += 1
            await self.push_error(
                SPEECH_LOST, force_treat_as_permanent=self._lost_in_a_row >= MAX_LOST
            )

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:  # noqa: ANN401
        return await super()._websocket_connect(uri, open_timeout=CONNECT_SECS, **kwargs)
