"""Ends a run by a signal, with what it has started: bots, servers, pages."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager
from types import FrameType
from typing import TypeVar

_Started = TypeVar("_Started")


def end_by_signals() -> None:
    """Have SIGTERM, and a terminal that is closed, end this process as Ctrl-C does.

    asyncio answers that by cancelling its main task, which then ends what it has started. To raise
    the interrupt itself would not do: it may end a task of aiortc's that others wait for, for ever.
    A shell that starts a command in the background has it ignore SIGINT, which is undone here.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # `nohup` has SIGHUP ignored, which stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


@asynccontextmanager
async def started(process: AbstractContextManager[_Started]) -> AsyncGenerator[_Started]:
    """What `process` gives, started and stopped in a thread, since its vendors serve on this one.

    It is also stopped where this is cancelled while it starts: once it has, then.
    """
    entering = asyncio.ensure_future(asyncio.to_thread(process.__enter__))
    try:
        yield await asyncio.shield(entering)
    finally:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await asyncio.to_thread(process.__exit__, None, None, None)
