"""One thing at a time that is done later, unless something else is to be done before."""

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.utils.base_object import BaseObject


class Waiting:
    """Waits for a time, and then does something.

    Args:
        owner: For whom, whose tasks it makes.
    """

    def __init__(self, owner: BaseObject) -> None:
        """Wait for nothing yet."""
        self._owner = owner
        self._task: asyncio.Task[None] | None = None
        self._asked = 0  # how often to do something else, or nothing more

    async def wait(self, secs: float, then: Callable[[], Awaitable[None]]) -> None:
        """Do something after so many seconds, in place of what was to be done before."""

        async def wait() -> None:
            await asyncio.sleep(secs)
            self._task = None
            await then()

        asked = self._asked + 1
        await self.stop()
        if asked == self._asked:  # else something else was, while the last one ended
            self._task = self._owner.task_manager.create_task(wait(), f"{self._owner}::wait")

    async def stop(self) -> None:
        """Do nothing more."""
        self._asked += 1
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            await self._owner.task_manager.cancel_task(task)
