"""The switcher between a model and its fallback."""

from collections.abc import Sequence

from openai import APIStatusError
from pipecat.frames.frames import ErrorFrame, Frame, LLMContextFrame, LLMUpdateSettingsFrame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from sonora_app.vendors.failover import FailoverAtOnce
from sonora_app.vendors.openai.requests import BoundedOpenAILLMService


class ModelFailover(FailoverAtOnce):
    """Changes to the fallback for good when the model fails, and for one turn when it refuses.

    A request that is refused for what is in it says nothing of the next one. So the fallback is
    asked in that turn only.

    Attributes:
        gone_back: Whether the change made last was back, when the turn was over.
    """

    def __init__(self, services: list[FrameProcessor]) -> None:
        """Use the first service."""
        super().__init__(services)
        self.gone_back = False
        self._refusing: FrameProcessor | None = None
        self._turn: tuple[int, object] | None = None

    @property
    def stands_in(self) -> bool:
        """Whether the active service was changed to for one turn."""
        return self._refusing is not None

    async def handle_error(self, error: ErrorFrame) -> FrameProcessor | None:
        """Change to the next service that is usable, for one turn if the request was refused."""
        self.gone_back = False
        refused = isinstance(error.exception, APIStatusError)
        if not refused or error.category is not ErrorCategory.APPLICATION:
            self._refusing = None
            return await super().handle_error(error)
        refusing = self._refusing or self.active_service
        # Known before the change is told.
        self._refusing = refusing
        changed = await self.change_to_next()
        if changed in (None, refusing):
            self._refusing = None
        return changed

    async def asked(self, context: LLMContext) -> None:
        """Go back to the service that refused a request, if this one is of another turn."""
        messages = [one for one in context.get_messages() if isinstance(one, dict)]
        said = [one.get("content") for one in messages if one.get("role") == "user"]
        turn = (len(said), said[-1] if said else None)
        refusing, before, self._turn = self._refusing, self._turn, turn
        if refusing is not None and turn != before:
            self._refusing = None
            self.gone_back = True
            await self.change_to(refusing)


class InformedLLMSwitcher(LLMSwitcher[ModelFailover]):
    """Pipecat's switcher, in which the fallback is told what the flow tells the model.

    Args:
        models: The model, and its fallback.
    """

    def __init__(self, models: Sequence[BoundedOpenAILLMService]) -> None:
        """Create a switcher that changes as `ModelFailover` says."""
        # Generic over its adapter, and invariant in it, where any adapter would do.
        super().__init__([*models], ModelFailover)  # pyright: ignore[reportArgumentType]
        self._models = models
        self._asked: LLMContext | None = None

    async def ask_again(self) -> None:
        """Ask what was asked last of the model that is active now.

        The call's own context may not have the user's last words yet, where the request was a guess
        that has just turned out right.
        """
        if self._asked is not None:
            await self.queue_frame(LLMContextFrame(context=self._asked))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Have a change of settings, such as the role in the flow, reach every model.

        Of a new question no answer has begun, whichever model answered the one before.
        """
        if isinstance(frame, LLMUpdateSettingsFrame):
            frame.reach_inactive_services = True
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            self._asked = frame.context
            await self.strategy.asked(frame.context)
            for model in self._models:
                model.begun = False
        await super().process_frame(frame, direction)
