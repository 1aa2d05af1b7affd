"""What SIGINT and SIGTERM do: end the calls, keep what was said, and let the process exit.

The development runner's server and Pipecat Cloud's each have signal handlers of their own, which
stop serving and then wait for the calls to end. They do not tell the calls to end. So Sonora's
handlers come first, tell the calls, and pass each signal on. Calls may go on for
`SONORA_HANDOVER_SECS` first. A process that hangs is ended by force.
"""

import asyncio
import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

from loguru import logger

from sonora_app.process.calls import calls
from sonora_app.settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_LAST_RESORT_SECS = 4.0
"""How long after the calls' time is over the process is ended by force, in seconds: by then the
server has closed its connections and the store its files, unless something hangs."""


class _Handler:
    """Ends the calls on a signal, at once or after a while, and hands the signal on."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        before: Any,  # noqa: ANN401  # what signal.getsignal returns
        *,
        serving_meanwhile: bool,
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._before = before
        self._serving_meanwhile = serving_meanwhile

    def __call__(self, number: int, frame: FrameType | None) -> None:
        first, calls.stopping = not calls.stopping, True
        handover_secs = self._settings.handover_secs if first and calls else 0.0
        _end_by_force_after(handover_secs + self._settings.drain_secs + _LAST_RESORT_SECS)
        self._loop.call_soon_threadsafe(self._stop, number, handover_secs)
        if not (handover_secs and self._serving_meanwhile):
            self._hand_on(number, frame)

    def _stop(self, number: int, handover_secs: float) -> None:
        # The calls' own tasks hold the process; this one is done when they are.
        self._stopping = asyncio.ensure_future(self._end_calls(number, handover_secs))

    async def _end_calls(self, number: int, handover_secs: float) -> None:
        if handover_secs:
            logger.info(f"{len(calls)} calls may go on for {handover_secs:g} s; no other is taken")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(handover_secs):
                    await calls.settled()
            if self._serving_meanwhile:
                self._hand_on(number, None)
        await calls.end_all(within_secs=self._settings.drain_secs)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        # What was there before may be no function: then the process ends with its last call.
        if callable(self._before) and self._before is not signal.default_int_handler:
            self._before(number, frame)
        elif not calls:
            signal.signal(number, self._before)
            signal.raise_signal(number)


def end_calls_when_stopped(settings: Settings, *, serving_meanwhile: bool = False) -> None:
    """Have SIGINT and SIGTERM end this process's calls.

    They may go on for `SONORA_HANDOVER_SECS`, and are then ended within `SONORA_DRAIN_SECS`. A
    second signal ends them at once. To be called on the event loop that holds the calls, as often
    as one likes, once the server's own handlers are in place; the first time counts. Outside the
    main thread it does nothing, since Python has signals handled there only.

    Args:
        settings: The settings.
        serving_meanwhile: Whether the server goes on answering while calls go on, so that they can
            renegotiate and others hear that they are not taken. Otherwise it is told at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        before = signal.getsignal(number)
        if not isinstance(before, _Handler):
            handler = _Handler(settings, loop, before, serving_meanwhile=serving_meanwhile)
            signal.signal(number, handler)


def _end_by_force_after(secs: float) -> None:
    """End the process if it is still there after `secs`, even when its event loop hangs."""

    def end() -> None:
        logger.critical(f"The process did not stop within {secs:g} s, and is ended by force")
        os._exit(1)

    timer = threading.Timer(secs, end)
    timer.daemon = True
    timer.start()
