"""An event loop on a thread of its own, for work that must not hold up the loop of the calls."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")


class SideLoop:
    """Runs coroutines of any other loop on its own.

    Args:
        name: What its thread is called.
    """

    def __init__(self, name: str) -> None:
        """Start the thread, which ends with the process at the latest."""
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether this is the loop that the caller runs on."""
        return threading.current_thread() is self._thread

    async def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run `work` there, and give what it gives. Cancelling this cancels it."""
        return await asyncio.wrap_future(self.start(work))

    def start(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        """Begin `work` there. Cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, callback: Callable[[*_Args], object], *args: *_Args) -> None:
        """Have `callback` called there, after what was asked for before."""
        self._loop.call_soon_threadsafe(callback, *args)

    async def aclose(self) -> None:
        """Cancel what is still running, wait for it to end, and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stopped.wait()


class Signal:
    """Like `asyncio.Event`, but any thread may set it. One coroutine at a time waits for it."""

    def __init__(self) -> None:
        """Start unset."""
        self._is_set = False
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake who waits."""
        self._is_set = True
        if waiting := self._waiting:
            loop, woken = waiting
            # The loop may have been closed this instant: then nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

    def clear(self) -> None:
        """Unset it."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until it is set."""
        woken = asyncio.Event()
        # Before looking, as `set` looks for who waits only after setting.
        self._waiting = asyncio.get_running_loop(), woken
        try:
            if not self._is_set:
                await woken.wait()
        finally:
            self._waiting = None
