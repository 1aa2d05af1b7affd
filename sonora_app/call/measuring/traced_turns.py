"""Makes the spans of a call and of its turns, without the observers that Pipecat adds for them.

Pipecat's worker adds three, and each has a queue and a task that every frame wakes at every
processor. Those here are told by the observer that all the others are told by (page/observers.py).
"""

from collections.abc import Sequence

from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.observers.turn_tracking_observer import TurnTrackingObserver
from pipecat.observers.user_bot_latency_observer import UserBotLatencyObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameProcessor, FrameProcessorSetup
from pipecat.utils.asyncio.task_manager import BaseTaskManager
from pipecat.utils.tracing.tracing_context import TracingContext
from pipecat.utils.tracing.turn_trace_observer import TurnTraceObserver


class TracedTurns(BaseObserver):
    """Pipecat's observers of turns and of spans, as one.

    Args:
        waits: What measures how long answers take.

    Attributes:
        context: The spans that those of the services are a part of.
    """

    def __init__(self, waits: UserBotLatencyObserver) -> None:
        """Create no span yet."""
        super().__init__(observe_every_push=False)
        self.context = TracingContext()
        self._turns = TurnTrackingObserver()
        self._spans = TurnTraceObserver(
            self._turns, latency_tracker=waits, tracing_context=self.context
        )

    async def setup(self, task_manager: BaseTaskManager) -> None:
        """Have both run their handlers where the pipeline runs."""
        await super().setup(task_manager)
        await self._turns.setup(task_manager)
        await self._spans.setup(task_manager)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Begin or end what a frame begins or ends."""
        await self._spans.on_push_frame(data)
        await self._turns.on_push_frame(data)

    async def cleanup(self) -> None:
        """End the spans that are open."""
        await self._turns.cleanup()
        await self._spans.cleanup()
        self._spans.end_conversation_tracing()
        await super().cleanup()


class TracedPipeline(Pipeline):
    """A pipeline whose services make spans within those of a call.

    Args:
        processors: Its processors.
        context: The spans that those of the services are a part of.
    """

    def __init__(self, processors: Sequence[FrameProcessor], context: TracingContext) -> None:
        """Join the processors."""
        super().__init__(list(processors))
        self._within = context

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Tell the processors of the context, which the worker has only with its own observers."""
        setup.tracing_context = self._within
        await super().setup(setup)
