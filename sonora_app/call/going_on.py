"""Makes one turn of two, where the user was cut off: they go on within the bot's first words.

The bot's turn began too soon then. The model is told the two parts as one message, so that it
answers the whole, and of the bot's few words nothing: nobody waited for them.

The store keeps all three as they were said; the second part names the first (`continues`).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from pipecat.clocks.base_clock import BaseClock
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from sonora_app.turns.replies.grammar import Replies

HEARD_SECS = 1.2
"""So much of the answer is heard, at most, by somebody who goes on with what they were saying, in
seconds: three or four words. Whoever answers the bot has let it say more."""

GOES_ON_SECS = 3.0
"""Within how long of the end of their turn somebody goes on with it, in seconds. An answer takes
one or two to begin; whoever asks after one that does not come says something new."""

_NS = 1_000_000_000


class GoingOn(FrameProcessor):
    """Stands where the model's requests begin.

    Args:
        context: What the model is told.
        clock: Stands still while the bot's speech is held back.
        replies: Knows the short replies of the language that is spoken now.
    """

    def __init__(
        self, context: LLMContext, clock: BaseClock, replies: Callable[[], Replies]
    ) -> None:
        """Create the processor, which sees to frames at once and has no queue of its own."""
        super().__init__(enable_direct_mode=True)
        self._context = context
        self._clock = clock
        self._replies = replies
        self._over_at: float | None = None
        self._answered_at: int | None = None  # by the clock
        self._voice_at = (0.0, 0)
        # The user's last turn in the context, as long as it may be gone on with, and whether the
        # turn that has begun does so.
        self._last: LLMContextMessage | None = None
        self._in_turn = self._goes_on = False
        self._continued = ""

    @property
    def goes_on(self) -> bool:
        """Whether the turn that has begun goes on with the one before, unless its words tell
        something else. Where the answer was heard to its end, it does not."""
        return self._goes_on and self._last is not None

    def continues(self, timestamp: str) -> bool:
        """Whether the turn that began at `timestamp` goes on with the one before it.

        Args:
            timestamp: As Pipecat gives it with the turn.
        """
        return bool(timestamp) and timestamp == self._continued

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow who speaks, and join what belongs together before the model is told of it."""
        await super().process_frame(frame, direction)
        match frame:
            case BotStartedSpeakingFrame() if self._answered_at is None:
                self._answered_at = self._clock.get_time()
            case BotStoppedSpeakingFrame() if not self._in_turn:
                self._last = None  # the whole of its answer was heard
            case VADUserStartedSpeakingFrame():
                self._voice_at = self._now()
            case UserStartedSpeakingFrame():
                self._turn_began()
            case UserStoppedSpeakingFrame():
                self._in_turn = False
                self._over_at, self._answered_at = self._now()[0], None
            case LLMContextUserTurnFrame() if direction is FrameDirection.DOWNSTREAM:
                self._turn_added(frame.timestamp)
            case LLMContextFrame(speculation=True) if direction is FrameDirection.DOWNSTREAM:
                # A copy that was made for this request.
                if joined := self._joined(frame.context.get_messages()):
                    frame.context.set_messages(joined)
            case _:
                pass
        await self.push_frame(frame, direction)

    def _now(self) -> tuple[float, int]:
        """The time in seconds, and by the clock that stands still with the bot's speech."""
        return time.monotonic(), self._clock.get_time()

    def _turn_began(self) -> None:
        self._in_turn = True
        over_at = self._over_at
        if over_at is None:
            return
        # Over the bot's speech a turn begins by its words, which come after the voice.
        began, by_clock = self._voice_at if self._voice_at[0] > over_at else self._now()
        heard_ns = 0 if self._answered_at is None else by_clock - self._answered_at
        self._goes_on = began - over_at < GOES_ON_SECS and heard_ns < HEARD_SECS * _NS
        if not self._goes_on:
            self._last = None

    def _turn_added(self, timestamp: str) -> None:
        if joined := self._joined(self._context.get_messages()):
            self._context.set_messages(joined)
            self._continued = timestamp
        self._last = self._context.get_messages()[-1]

    def _joined(self, messages: Sequence[LLMContextMessage]) -> list[LLMContextMessage] | None:
        """The messages with the last two turns of the user as one; None where they are two."""
        if not messages:
            return None
        *before, said = messages
        text = _words(said, "user")
        if not self._goes_on or not text or self._replies().stands_alone(text):
            return None
        if before and _words(before[-1], "assistant"):
            before.pop()
        # Anything else in between, as a tool's result or a step of the flow, goes by the first.
        if not before or before[-1] is not self._last:
            return None
        first = _words(before.pop(), "user")
        whole: Any = {"role": "user", "content": f"{first} {text}"}
        return [*before, whole] if first else None


def _words(message: LLMContextMessage, role: str) -> str:
    """What a speaker said in a message, and nothing where it is more than words."""
    fields = cast(dict[str, Any], message) if isinstance(message, dict) else {}
    content = fields.get("content")
    only_words = fields.get("role") == role and not fields.get("tool_calls")
    return content.strip() if only_words and isinstance(content, str) else ""
