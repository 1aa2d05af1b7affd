"""Deepgram services that reconnect for as long as the call lasts, and report when they cannot hear.

Pipecat's services give up for the whole call after a refusal or a few failed attempts, wait four
seconds before they reconnect, and hold up the start of the call while they try. Here

- the start of the call waits for at most `CONNECT_SECS`, and the attempts go on beside the call;
- a connection that drops is opened again at once, and after that every `RETRY_SECS`;
- speech that Deepgram does not answer is noticed `HEARD_SECS` after the speech ended.

Event handlers, besides Pipecat's:

- on_unheard(service): somebody spoke, and Deepgram has sent nothing since. Not called when the
  silence makes the service unusable, which is reported by itself.

The final transcript must survive the interruption that it causes: the transcript interrupts the
bot, and an interruption drops the frames that are under way.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, NoReturn

from deepgram.listen.v1.types import ListenV1Finalize, ListenV1Results
from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.stt_service import STTService
from pipecat.services.websocket_service import ReportErrorCallback

CONNECT_SECS = 2.0
"""How long the start of a call, or of an attempt over Flux's socket, waits for Deepgram."""

RETRY_SECS = 5.0
"""The pause between two attempts once Pipecat's own have been given up."""

HEARD_SECS = 2.0
"""How long after the end of speech Deepgram may stay silent. Its answer to `Finalize` takes
0.35 s at the 99th percentile in Pipecat's benchmark, and Flux sends a message every 0.25 s."""

PREROLL_SECS = 0.6
"""Speech is sent again with this much of the audio before its detection, which is longer than the
detection takes."""

UTTERANCE_SECS = 30.0
"""The longest utterance that is sent again."""


class WatchfulSTTService(STTService):
    """Notices speech to which the recogniser sends no answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service, knowing of no speech yet."""
        super().__init__(*args, **kwargs)
        self._register_event_handler("on_unheard")
        self._answered_at = 0.0
        self._usable_at_start = True
        self._waiting: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow the speech, as the voice activity detector finds it."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._usable_at_start = self.is_usable
            await self._stop_waiting()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and not self.is_muted:
            await self._stop_waiting()
            self._waiting = self.create_task(self._wait_for_answer(time.monotonic()))

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame. A final transcript must survive the interruption that it causes.

        An interim transcript interrupts the bot, which drops the frames that wait in the
        pipeline."""
        if isinstance(frame, TranscriptionFrame):
            frame.interruptible = False
        await super().push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop waiting too."""
        await self._stop_waiting()
        await super().cleanup()

    def answered(self) -> None:
        """Note that the recogniser has answered."""
        self._answered_at = time.monotonic()

    async def ask_again(self) -> bool:
        """Try once more to have the last speech recognised. Returns whether that is possible."""
        return False

    async def _wait_for_answer(self, ended_at: float) -> None:
        await asyncio.sleep(HEARD_SECS)
        if self._answered_at >= ended_at:
            return
        if await self.ask_again():
            await asyncio.sleep(HEARD_SECS)
            if self._answered_at >= ended_at:
                return
        if self.is_usable or not self._usable_at_start:
            await self._call_event_handler("on_unheard")

    async def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await self.cancel_task(waiting)


class LastingDeepgramSTTService(WatchfulSTTService, DeepgramSTTService):
    """Nova. Speech that was said while or before its connection broke is sent again."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service; it connects when it is set up."""
        super().__init__(**kwargs)
        self._spoken: deque[bytes] = deque()
        self._spoken_secs = 0.0
        # Whether there is speech that is not transcribed yet, ended or not.
        self._untranscribed = False
        # Whether the connection has had the earlier speech, and can take new audio.
        self._caught_up = False
        self._speaking = False

    @property
    def line(self) -> Any:  # noqa: ANN401  # that is, what Deepgram's SDK has for it
        """The present connection, or None."""
        return self._connection

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep speech from its beginning."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._untranscribed = self._speaking = True
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speaking = False
        await super().process_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send sound to Deepgram, and keep it until it is transcribed."""
        self._keep(audio)
        if self._caught_up:
            async for frame in super().run_stt(audio):
                yield frame

    async def ask_again(self) -> bool:
        """Connect anew, which sends what was said once more."""
        await self._connect_anew()
        return self.line is not None

    async def _connect(self) -> None:
        self._caught_up = False
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await super()._connect()
        except TimeoutError:
            # The attempt goes on, and makes it usable again.
            await self.set_usable(False)

    async def _connect_anew(self) -> None:
        self._caught_up = False
        connection, self._connection = self.line, None
        if connection is not None:
            # Broken off, not closed: a peer that is mute would be waited for.
            connection._websocket.transport.abort()
        await self._disconnect()
        await self._connect()

    async def _connection_handler(self) -> NoReturn:
        while True:
            # Returns when it gives up. Pipecat's annotation, inferred, says that it never does.
            await super()._connection_handler()  # pyright: ignore[reportGeneralTypeIssues]
            await asyncio.sleep(RETRY_SECS)
            self._quick_failure_tracker.reset()

    async def _keepalive_handler(self) -> NoReturn:
        # Pipecat starts this whenever it is connected.
        await self.set_usable(True)
        await self._catch_up()
        await super()._keepalive_handler()

    async def _catch_up(self) -> None:
        """Send what was said and not transcribed, then what comes in the meantime."""
        connection = self.line
        if connection is None:
            return
        if self._untranscribed:
            sent = 0
            while sent < len(self._spoken):
                await connection.send_media(self._spoken[sent])
                sent += 1
        self._caught_up = True
        if self._untranscribed and not self._speaking:
            self.request_finalize()
            await connection.send_finalize(ListenV1Finalize(type="Finalize"))

    async def _on_error(self, error: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        await super()._on_error(error)
        self.create_task(self._connect_anew(), "connect_anew")

    async def _on_message(self, message: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        self.answered()
        if isinstance(message, ListenV1Results) and message.is_final:
            self._spoken.clear()
            self._spoken_secs = 0.0
            if message.from_finalize:
                self._untranscribed = False
        await super()._on_message(message)

    def _keep(self, audio: bytes) -> None:
        self._spoken.append(audio)
        self._spoken_secs += self._secs(audio)
        limit_secs = UTTERANCE_SECS if self._untranscribed else PREROLL_SECS
        while self._spoken_secs > limit_secs and len(self._spoken) > 1:
            self._spoken_secs -= self._secs(self._spoken.popleft())

    def _secs(self, audio: bytes) -> float:
        return len(audio) / (2 * self.sample_rate)


class LastingFluxSTTService(WatchfulSTTService, DeepgramFluxSTTService):
    """Flux. A turn whose connection breaks ends with what was heard of it, as in Pipecat."""

    # Whether words of an open turn were heard.
    _heard_in_part = False

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame. A final transcript replaces the interim ones."""
        if isinstance(frame, TranscriptionFrame):
            self._heard_in_part = False
        await super().push_frame(frame, direction)

    async def ask_again(self) -> bool:
        """Connect anew. A turn lives in one connection, so what was said is not sent again."""
        heard_in_part = self._heard_in_part
        if heard_in_part:
            self.answered()
        websocket: Any = self._websocket  # pyright: ignore[reportUnknownVariableType]
        if websocket is not None:
            websocket.transport.abort()
        return heard_in_part

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return await super()._websocket_connect(uri, open_timeout=CONNECT_SECS, **kwargs)
        except Exception:
            # Pipecat waits for seconds before it tries again.
            await self.set_usable(False)
            raise

    async def _receive_task_handler(self, report_error: ReportErrorCallback) -> None:
        while True:
            await super()._receive_task_handler(report_error)
            if self._disconnecting:
                return
            await asyncio.sleep(RETRY_SECS)
            self._quick_failure_tracker.reset()
            await self._connect_websocket()

    async def _handle_message(self, data: dict[str, Any]) -> None:
        self.answered()
        await super()._handle_message(data)
        if data.get("type") == "Connected":
            await self.set_usable(True)
        elif data.get("type") == "TurnInfo":
            self._heard_in_part = bool(data.get("transcript")) and data.get("event") != "EndOfTurn"
