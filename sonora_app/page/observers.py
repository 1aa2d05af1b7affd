"""Joins all observers of a call into one.

Pipecat gives each observer a queue and a task. Everything that a processor takes or sends on goes
into every queue and wakes every task, hundreds of times a second. One observer needs one of each.
"""

from collections.abc import Awaitable

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frameworks.rtvi import RTVIObserver, RTVIObserverParams, RTVIProcessor
from pipecat.utils.asyncio.task_manager import BaseTaskManager


class Observers(RTVIObserver):
    """Pipecat's observer, which tells the page of the call, and others after it.

    Args:
        rtvi: What the page is told by.
        *observers: Each wants a frame once, when it is pushed first, and sees to it quickly; none
            wants the user's audio.
        params: What the page is told.
    """

    def __init__(
        self,
        rtvi: RTVIProcessor,
        *observers: BaseObserver,
        params: RTVIObserverParams | None = None,
    ) -> None:
        """Join observers."""
        super().__init__(rtvi, params=params)
        self._observers = observers

    async def setup(self, task_manager: BaseTaskManager) -> None:
        """Have each run its handlers where the pipeline runs."""
        await super().setup(task_manager)
        for observer in self._observers:
            await observer.setup(task_manager)

    async def on_pipeline_started(self) -> None:
        """Tell each that the pipeline runs."""
        await super().on_pipeline_started()
        for observer in self._observers:
            await observer.on_pipeline_started()

    async def on_push_frame(self, data: FramePushed) -> None:
        """Tell each of a frame."""
        if isinstance(data.frame, InputAudioRawFrame):
            return
        await self._beside(super().on_push_frame(data))
        if data.first_push:
            for observer in self._observers:
                await self._beside(observer.on_push_frame(data))

    async def _beside(self, observed: Awaitable[None]) -> None:
        """Let one observer see to a frame; what goes wrong with it is no matter of the others."""
        try:
            await observed
        except Exception as error:  # noqa: BLE001  # whatever an observer raises
            logger.error(f"An observer failed: {type(error).__name__}")

    async def cleanup(self) -> None:
        """Let each finish what it has begun."""
        for observer in self._observers:
            await observer.cleanup()
        await super().cleanup()
