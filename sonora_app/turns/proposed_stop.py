"""Ends the user's turn where the recogniser finds the turns by itself, as Deepgram's Flux does.

Flux also tells when a turn may be over. The model is asked then, and may refuse: it gets a tool
only in a turn that is over. Its refusal may cross with Flux's next guess, or with the turn's end.
"""

from pipecat.frames.frames import EagerTranscriptionFrame, Frame, LLMRunFrame
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import EagerUserTurnStopStrategy
from pipecat.utils.utils import obj_id

from sonora_app.vendors.openai.speculation import GuessRefusedFrame


class ProposedTurnStop(EagerUserTurnStopStrategy):
    """Pipecat's strategy for such recognisers, in which a refusal is of one guess."""

    def __init__(self) -> None:
        """Create a strategy for one call."""
        super().__init__()
        # Frames that were made before the guess have lower ids.
        self._asked_at = obj_id()
        self._kept = False  # whether the turn that is over was ended with the guess

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow the turn; what is refused once it is over is asked for again."""
        match frame:
            case EagerTranscriptionFrame():
                self._asked_at = obj_id()
            case GuessRefusedFrame(request=request) if request < self._asked_at:
                return ProcessFrameResult.CONTINUE
            case GuessRefusedFrame() if self._kept:
                self._kept = False
                await self.push_frame(LLMRunFrame())
            case _:
                pass
        return await super().process_frame(frame)

    async def handle_user_turn_started(self) -> None:
        """Begin a turn, of which nothing was guessed yet."""
        self._asked_at, self._kept = obj_id(), False
        await super().handle_user_turn_started()

    async def trigger_user_turn_finalized(
        self, *, enable_user_speaking_frames: bool | None = None, confirms_speculation: bool = False
    ) -> None:
        """End the turn, with the guess or without it."""
        self._kept = confirms_speculation
        await super().trigger_user_turn_finalized(
            enable_user_speaking_frames=enable_user_speaking_frames,
            confirms_speculation=confirms_speculation,
        )
