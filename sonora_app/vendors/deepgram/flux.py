"""Flux that stays with the call; see connection.py."""

import asyncio
import time
from typing import Any, Protocol

from pipecat.frames.frames import (
    Frame,
    ProposedUserStartedSpeakingFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.websocket_service import ReportErrorCallback

from sonora_app.vendors.deepgram.connection import (
    CONNECT_SECS,
    HEARD_SECS,
    RETRY_SECS,
    WatchfulSTTService,
)


class UsersWords(Protocol):
    """Leaves what is not the user's out of what was recognised."""

    def __call__(self, text: str, *, over: bool) -> str:
        """Give what the user said of a turn: `text` are its words so far, or all if it is over."""
        ...


class LastingFluxSTTService(WatchfulSTTService, DeepgramFluxSTTService):
    """Flux. A turn that breaks off ends with what was heard of it, as Pipecat has it.

    Attributes:
        users_words: Leaves out what is not the user's; None: all of it is.
    """

    # The words that were shown of a turn that is not over, and which turn was over last.
    _shown_words = ""
    _last_turn = -1
    # Whether those who answer have a turn of the user's.
    _turn_open = False
    users_words: UsersWords | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow the user's turns."""
        if isinstance(frame, UserStartedSpeakingFrame | UserStoppedSpeakingFrame):
            self._turn_open = isinstance(frame, UserStartedSpeakingFrame)
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; a transcript is the end of what was heard in part."""
        if isinstance(frame, TranscriptionFrame):
            self._shown_words = ""
            if frame.text.strip() and not self._turn_open:
                # It comes after the turn was given up: words without a turn are never answered.
                await self.broadcast_frame(ProposedUserStartedSpeakingFrame)
        await super().push_frame(frame, direction)

    async def ask_again(self) -> bool:
        """Connect anew. A turn lives in one connection, so what was said is not sent again."""
        heard_in_part = bool(self._shown_words)
        if heard_in_part:
            self.answered()
        websocket: Any = self._websocket  # pyright: ignore[reportUnknownVariableType]
        mute = time.monotonic() - self._answered_at > HEARD_SECS
        if websocket is not None and (heard_in_part or mute):
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
        kind, event = data.get("type"), data.get("event")
        if kind == "TurnInfo":
            turn: object = data.get("turn_index")
            if isinstance(turn, int) and turn <= self._last_turn:
                return
            self._shown_words = data.get("transcript") or self._shown_words
            if event == "EndOfTurn":
                self._last_turn = turn if isinstance(turn, int) else -1
                # An end without words does not take back those that were shown.
                data = {**data, "transcript": self._shown_words}
            if self.users_words is not None and (text := data.get("transcript")):
                said = self.users_words(text, over=event == "EndOfTurn")
                data = {**data, "transcript": said}
        elif kind == "Connected":
            self._last_turn = -1
        self.answered()
        await super()._handle_message(data)
        if event == "StartOfTurn":
            # Pipecat tells of the turn, and not of the words that begin it.
            await self._handle_update(data.get("transcript", ""), data)
        elif kind == "Connected":
            await self.set_usable(True)
