"""Reports what becomes of the answer to a guessed turn: it has begun, or there is none.

A guessed turn is one that is probably over. Pipecat's LLM service holds its answer back until the
turn is confirmed. Once the answer has begun, waiting longer for the user to go on gains nothing.

A report may cross with the next guess, so each names the request that it is about.
"""

from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    SystemFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.turns.speculation_gate import SpeculationGate

from sonora_app.vendors.openai.shorter import ShorteningLLMService


@dataclass
class AnswerReadyFrame(SystemFrame):
    """The answer to a turn that may not be over has begun, and is held back.

    Parameters:
        request: The id of the frame that asked for it.
    """

    request: int = 0


@dataclass
class GuessRefusedFrame(EagerEndOfTurnCancelFrame):
    """A turn that may not be over is not answered: the model wants a tool, or has failed.

    Parameters:
        request: The id of the frame that asked for the answer.
    """

    request: int = 0


class ForetellingLLMService(ShorteningLLMService):
    """OpenAI's chat completions, which send a frame upstream when a held-back answer begins."""

    # Whether the present answer was reported.
    _foretold = False
    # The last frame that withdrew a guess, and the one that asked for the present answer.
    _withdrawn_by = 0
    _request = 0

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service."""
        super().__init__(**kwargs)
        # Sees the same frames as Pipecat's own gate in the service, so it knows what that does.
        self._gate = SpeculationGate()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; a guess that was withdrawn before its turn came is not answered.

        A withdrawal overtakes queued frames. Pipecat would take the withdrawn guess for a turn that
        is over, and answer both the guess and the turn.
        """
        if isinstance(frame, EagerEndOfTurnCancelFrame):
            self._withdrawn_by = frame.id
        elif (
            isinstance(frame, LLMContextFrame)
            and frame.speculation
            # Ids count all frames in the order they were made.
            and frame.id < self._withdrawn_by
        ):
            return
        if isinstance(frame, LLMContextFrame):
            self._request = frame.id
            self._gate.begin_speculation(frame.speculation)
        await super().process_frame(frame, direction)

    async def broadcast_frame(self, frame_cls: type[Frame], **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Broadcast a frame; one that gives the present guess up says which that is."""
        if frame_cls is EagerEndOfTurnCancelFrame:
            frame_cls, kwargs = GuessRefusedFrame, {"request": self._request}
        await super().broadcast_frame(frame_cls, **kwargs)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; an error of a guessed answer only withdraws the guess.

        Nobody is waiting for that answer yet. The model is asked again when the turn is over, and
        an error is reported then. Ending the call in mid-turn would lose what was said.
        """
        if isinstance(frame, LLMFullResponseStartFrame):
            self._foretold = False
        if isinstance(frame, ErrorFrame) and self._gate.is_speculating:
            await self.broadcast_frame(EagerEndOfTurnCancelFrame)
            return
        self._gate.process(frame, direction)
        await super().push_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and self._gate.is_speculating and not self._foretold:
            self._foretold = True
            ready = AnswerReadyFrame(request=self._request)
            await super().push_frame(ready, FrameDirection.UPSTREAM)
