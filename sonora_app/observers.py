"""Several observers as one.

Pipecat gives each observer a queue and a task of its own, puts every frame that any processor
takes or pushes into each of the queues, and wakes each of the tasks: a twentieth of the processor
time of a call for the three that are joined here and the one that is left out.
"""

from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.utils.asyncio.task_manager import BaseTaskManager


class Observers(BaseObserver):
    """Observers that are told of frames one after another.

    Args:
        *observers: Each wants a frame once, when it is pushed first, and sees to it quickly.
    """

    def __init__(self, *observers: BaseObserver) -> None:
        """Join observers."""
        super().__init__(observe_every_push=False)
        self._observers = observers

    async def setup(self, task_manager: BaseTaskManager) -> None:
        """Have each run its handlers where the pipeline runs."""
        await super().setup(task_manager)
        for observer in self._observers:
            await observer.setup(task_manager)

    async def on_pipeline_started(self) -> None:
        """Tell each that the pipeline runs."""
        for observer in self._observers:
            await observer.on_pipeline_started()

    async def on_push_frame(self, data: FramePushed) -> None:
        """Tell each of a frame."""
        for observer in self._observers:
            await observer.on_push_frame(data)

    async def cleanup(self) -> None:
        """Let each finish what it has begun."""
        for observer in self._observers:
            await observer.cleanup()
        await super().cleanup()
