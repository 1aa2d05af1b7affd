"""Runs a service in a pipeline of its own: frames in, frames out, as long as a block lasts."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pipecat.frames.frames import DataFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

F = TypeVar("F", bound=Frame)


@dataclass
class _Mark(DataFrame):
    """Comes out after what was sent before it."""

    interruptible: bool = field(default=False, init=False)


class Rig:
    """A running pipeline. Made by `rigged`."""

    def __init__(self, worker: PipelineWorker) -> None:
        """Take the worker that runs it."""
        self._worker = worker
        self._grown = asyncio.Event()
        self._frames: list[Frame] = []

    async def send(self, *frames: Frame) -> None:
        """Send frames into it, downstream."""
        for frame in frames:
            await self._worker.queue_frame(frame)

    async def through(self) -> None:
        """Wait until what was sent so far has gone through."""
        marks = len(self.all(_Mark))
        await self.send(_Mark())
        await self.get(_Mark, marks + 1)

    def all(self, kind: type[F]) -> list[F]:
        """The frames of one kind that came out of it so far, whichever way."""
        return [frame for frame in self._frames if isinstance(frame, kind)]

    async def get(self, kind: type[F], count: int = 1, *, timeout_secs: float = 30.0) -> F:
        """Wait until `count` frames of one kind came out of it; returns the last of them."""
        try:
            async with asyncio.timeout(timeout_secs):
                while len(self.all(kind)) < count:
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            seen = [type(frame).__name__ for frame in self._frames]
            raise AssertionError(f"{kind.__name__} did not come {count} times: {seen}") from None
        return self.all(kind)[count - 1]

    def came_out(self, frame: Frame) -> None:
        """Note a frame."""
        self._frames.append(frame)
        self._grown.set()


class _End(FrameProcessor):
    """An end of the pipeline, that keeps what comes to it."""

    def __init__(self, direction: FrameDirection) -> None:
        super().__init__(enable_direct_mode=True)
        self._direction = direction
        self.rig: Rig | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is self._direction and self.rig is not None:
            self.rig.came_out(frame)
        await self.push_frame(frame, direction)


@asynccontextmanager
async def rigged(
    *processors: FrameProcessor, metrics: bool = False, start_secs: float = 30.0
) -> AsyncGenerator[Rig]:
    """Run processors as a pipeline until the block ends.

    Args:
        *processors: In the order frames flow.
        metrics: Whether they report what they used.
        start_secs: How long the pipeline may take to start.
    """
    ends = _End(FrameDirection.UPSTREAM), _End(FrameDirection.DOWNSTREAM)
    worker = PipelineWorker(
        Pipeline([ends[0], *processors, ends[1]]),
        params=PipelineParams(enable_metrics=metrics, enable_usage_metrics=metrics),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    rig = Rig(worker)
    for end in ends:
        end.rig = rig
    started = asyncio.Event()

    async def pipeline_started(*_: object) -> None:
        started.set()

    worker.add_event_handler("on_pipeline_started", pipeline_started)
    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(start_secs):
            await started.wait()
        yield rig
    finally:
        await worker.cancel()
        await running
