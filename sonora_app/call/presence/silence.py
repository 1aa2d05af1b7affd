"""Tells how long nobody has been heard in a call, and whether an answer is on its way."""

import asyncio
import contextlib
import time

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.llm_context import LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.vendors.frames import UserPausedFrame

_BOT_QUIET_SECS = 0.35
"""How long the bot has been silent when Pipecat says that it stopped, in seconds."""

_SPEECH_DUE_SECS = 1.5
"""How long an answer in words may take to be heard, once it came, before none is expected."""

_REQUEST_DUE_SECS = 0.3
"""How long after the user's turn the request for an answer may take."""


class Silence(BaseObserver):
    """Watches who is heard, what the model is asked and what it answers.

    Attributes:
        filled: Whether what the bot says at the moment only fills a wait.
    """

    def __init__(self) -> None:
        """Begin in silence."""
        super().__init__(observe_every_push=False)
        self.filled = False
        self._bot = False
        self._user = False
        self._sound_at = time.monotonic()
        self._asking = False
        self._speech_due_at = 0.0
        self._request_due_at = 0.0
        self._changed = asyncio.Event()
        self._awaited: list[LLMContextMessage] = []

    @property
    def secs(self) -> float:
        """For how long nobody has been heard, in seconds; 0 while somebody is."""
        return 0.0 if self._bot or self._user else time.monotonic() - self._sound_at

    @property
    def nobody_answers(self) -> bool:
        """Whether the user is silent, and no answer is spoken or on its way."""
        now = time.monotonic()
        speaks = self._user or (self._bot and not self.filled)
        due = self._asking or now < self._speech_due_at or now < self._request_due_at
        return not (speaks or due)

    def typed(self) -> None:
        """The user typed: the wait for an answer begins here."""
        self._sound_at = time.monotonic()

    def expect(self, message: LLMContextMessage) -> None:
        """Watch for the model being told `message`."""
        self._awaited.append(message)

    def is_told(self, message: LLMContextMessage) -> bool:
        """Whether the model was asked for an answer with `message` before it."""
        return not any(each is message for each in self._awaited)

    async def changed(self, within_secs: float) -> None:
        """Wait until something changes, or for so long."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_secs):
                await self._changed.wait()

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow one frame."""
        frame, now = data.frame, time.monotonic()
        match frame:
            case BotStartedSpeakingFrame():
                self._bot, self._speech_due_at = True, 0.0
            case BotStoppedSpeakingFrame():
                self._bot, self.filled = False, False
                self._sound_at = now - _BOT_QUIET_SECS
            case UserStartedSpeakingFrame():
                self._user = True
            case UserStoppedSpeakingFrame():
                self._user, self._request_due_at = False, now + _REQUEST_DUE_SECS
            case UserPausedFrame():
                self._sound_at = now - frame.quiet_secs
            case VADUserStoppedSpeakingFrame():
                self._sound_at = min(now - frame.stop_secs, max(self._sound_at, now - 1.0))
            case LLMContextFrame() if _asks(data):
                self._asking, self._request_due_at = True, 0.0
                told = frame.context.get_messages()
                self._awaited = [m for m in self._awaited if not any(m is each for each in told)]
            case LLMTextFrame():
                self._speech_due_at = now + _SPEECH_DUE_SECS
            case LLMFullResponseEndFrame() | InterruptionFrame() | EagerEndOfTurnCancelFrame():
                self._asking = False
            case _:
                return
        self._changed.set()


def _asks(data: FramePushed) -> bool:
    """Whether a context goes to the model.

    After each answer Pipecat's assistant aggregator also sends it on downstream, where nobody
    answers it.
    """
    downstream = data.direction is FrameDirection.DOWNSTREAM
    return not (downstream and isinstance(data.source, LLMAssistantAggregator))
