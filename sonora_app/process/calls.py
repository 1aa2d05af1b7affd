"""The calls that this process holds, and how they end when the process is asked to stop."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from loguru import logger

from sonora_app.runtime.memory import give_memory_back

_CANCELLED_WITHIN_SECS = 1.0
"""How long a call that was cancelled may take until its task has ended."""


class EndableCall(Protocol):
    """A call that can be told to end."""

    async def end(self, *, within_secs: float) -> None:
        """End the call at once, and tell its page why.

        Args:
            within_secs: How long it may then take to keep what was said, in seconds.
        """
        ...


class Calls:
    """The calls in progress of one process.

    Attributes:
        stopping: Whether the process was asked to stop. It takes no call any more.
    """

    def __init__(self) -> None:
        """Hold no call yet."""
        self.stopping = False
        self._held: dict[asyncio.Task[Any], EndableCall] = {}

    def __len__(self) -> int:
        """How many calls are in progress."""
        return len(self._held)

    @contextlib.asynccontextmanager
    async def holding(self, call: EndableCall) -> AsyncGenerator[None]:
        """Count `call` as one in progress, until its last record is written; then tidy up.

        To be entered by the task that holds the call.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine that runs is a task's
        self._held[task] = call
        try:
            yield
        finally:
            del self._held[task]
            await asyncio.to_thread(give_memory_back)

    async def end_all(self, *, within_secs: float) -> None:
        """End every call in progress, and return when each is kept.

        A call that has not ended in time is cancelled. What it has written by then is kept.

        Args:
            within_secs: How long they may take, in seconds.
        """
        self.stopping = True
        held = dict(self._held)
        if not held:
            return
        logger.info(f"Ending {len(held)} calls, since the process stops")
        for outcome in await asyncio.gather(
            *(call.end(within_secs=within_secs) for call in held.values()),
            return_exceptions=True,
        ):
            if isinstance(outcome, Exception):
                logger.error(f"A call cannot be ended: {type(outcome).__name__}: {outcome}")
        await self._cancel_after(within_secs)

    async def settled(self) -> None:
        """Wait until no call is in progress."""
        while self._held:
            await asyncio.wait(self._held, return_when=asyncio.ALL_COMPLETED)

    async def _cancel_after(self, secs: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(secs):
                await self.settled()
        late = list(self._held)
        if late:
            logger.error(f"{len(late)} calls did not end within {secs:g} s, and are cancelled")
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_CANCELLED_WITHIN_SECS)


calls = Calls()
"""The calls of this process."""
