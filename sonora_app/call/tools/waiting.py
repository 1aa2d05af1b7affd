"""Bridges the wait for a tool, and tells the model what came of one that took long.

A line is spoken where nobody speaks and no answer is on its way, again and again, and never the
same twice in a row. What comes of the tool goes into the context as it is by then. The model is
asked for an answer as soon as nobody speaks, unless it has been asked for another one since.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from loguru import logger
from pipecat.frames.frames import LLMRunFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContextMessage

from sonora_app.call.context.grounding import Grounding
from sonora_app.call.context_changes import appended
from sonora_app.call.presence.silence import Silence
from sonora_app.flow.driver import FlowDriver
from sonora_app.flow.lines import Lines

SILENCE_SECS = 1.05
"""The silence after which a line is spoken, in seconds. Its sound takes some 0.3 s more."""

_LONGER_AFTER = ((8.0, 4.0), (30.0, 8.0))
"""From how many seconds of waiting on the silence between two lines is so many seconds."""

_STARTED_SECS = 1.5
_ASKED_SECS = 2.0
_LOOK_SECS = 0.1


class WaitingCall(Protocol):
    """The parts of a call that waiting for a tool uses. See `Call`."""

    worker: PipelineWorker
    driver: FlowDriver
    grounding: Grounding | None
    reply_by_voice: bool

    @property
    def lines(self) -> Lines:
        """See `Call.lines`."""
        ...

    @property
    def user_muted(self) -> bool:
        """See `Call.user_muted`."""
        ...


class ToolWaiting:
    """The wait for tools in one call.

    Args:
        call: The call.
        silence: How long nobody was heard.
        waits: Tells whether a tool is still waited for.
    """

    def __init__(self, call: WaitingCall, silence: Silence, waits: Callable[[], bool]) -> None:
        """Wait for nothing yet."""
        self._call = call
        self._silence = silence
        self._waits = waits
        self._line = -1
        self._owed: list[LLMContextMessage] = []
        self._bridging: asyncio.Task[None] | None = None
        self._answering: asyncio.Task[None] | None = None

    def bridge(self) -> None:
        """Speak lines from now on, as long as there is something to wait for."""
        if self._bridging is None or self._bridging.done():
            self._bridging = _beside(self._bridge(), "sonora-tool-bridging")

    async def tell(self, text: str) -> None:
        """Tell the model `text`, once, and have it answered as soon as nobody speaks."""
        message = cast(LLMContextMessage, {"role": "developer", "content": text})
        self._silence.expect(message)
        if self._call.grounding is not None:
            self._call.grounding.expect(message)
        self._owed.append(message)
        await self._call.worker.queue_frame(appended(message))
        if self._answering is None or self._answering.done():
            self._answering = _beside(self._answer(), "sonora-tool-answering")

    def close(self) -> None:
        """The call is over: nobody waits any more."""
        for task in (self._bridging, self._answering):
            if task is not None:
                task.cancel()

    async def _bridge(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._waits():
            gap = SILENCE_SECS
            for after, secs in _LONGER_AFTER:
                gap = secs if loop.time() - began >= after else gap
            if self._silence.secs < gap or not self._silence.nobody_answers:
                await self._silence.changed(_LOOK_SECS)
            elif not self._may_speak:
                return
            else:
                await self._speak()

    async def _speak(self) -> None:
        lines = self._call.lines.all("tool_wait")
        self._line = (self._line + 1) % len(lines)
        self._silence.filled = True
        await self._call.worker.queue_frame(
            TTSSpeakFrame(text=lines[self._line], append_to_context=False)
        )
        loop = asyncio.get_running_loop()
        until = loop.time() + _STARTED_SECS
        while self._silence.secs and loop.time() < until and self._waits():
            await self._silence.changed(_LOOK_SECS)

    @property
    def _may_speak(self) -> bool:
        call = self._call
        return call.reply_by_voice and not call.user_muted and call.driver.talking

    async def _answer(self) -> None:
        loop = asyncio.get_running_loop()
        while self._still_owed():
            if not self._call.driver.talking:
                return
            if not self._silence.nobody_answers:
                await self._silence.changed(_LOOK_SECS)
                continue
            await self._call.worker.queue_frame(LLMRunFrame())
            until = loop.time() + _ASKED_SECS
            while self._still_owed() and loop.time() < until:
                await self._silence.changed(_LOOK_SECS)

    def _still_owed(self) -> bool:
        self._owed = [each for each in self._owed if not self._silence.is_told(each)]
        return bool(self._owed)


def _beside(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error(f"Waiting for a tool failed: {type(error).__name__}")
