"""What goes on in a turn beside the frames that come in."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

from pipecat.utils.base_object import BaseObject

Name = Literal["foreseeing", "judging", "asking", "ending"]
"""What is done, in the order in which it begins."""


class TurnTasks:
    """The tasks of a turn, the last one of each name.

    Args:
        owner: What has the tasks done; its task manager runs them.
    """

    def __init__(self, owner: BaseObject) -> None:
        """Nothing is done yet."""
        self._owner = owner
        self._tasks: dict[Name, asyncio.Task[None]] = {}

    def begin(self, name: Name, work: Coroutine[Any, Any, None]) -> None:
        """Have something done."""
        self._tasks[name] = self._owner.task_manager.create_task(work, f"{self._owner}::{name}")

    def begin_after(self, secs: float, name: Name, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done later, in seconds. It is not due any more once it begins."""

        async def wait() -> None:
            await asyncio.sleep(secs)
            self._tasks.pop(name, None)
            await work()

        self.begin(name, wait())

    def is_due(self, name: Name) -> bool:
        """Whether something is to be done later."""
        return name in self._tasks

    async def stop(self, *names: Name) -> None:
        """Stop some of them, but for the one that this is called from.

        Args:
            names: Which; all of them if none is named.
        """
        stopped = [self._tasks.pop(name, None) for name in names or tuple(self._tasks)]
        for task in stopped:
            if task is not None and task is not asyncio.current_task():
                await self._owner.task_manager.cancel_task(task)
