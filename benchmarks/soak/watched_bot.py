"""`bot.py`, with routes that tell what the process holds, fill its disk and set its clock.

Run as a program by `process.py`.
"""

import asyncio
import gc
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.run import app
from pipecat.runner.types import RunnerArguments

import bot as sonora
from benchmarks.soak.clock import set_ahead
from tests.full_disk import set_disk


async def bot(runner_args: RunnerArguments) -> None:
    """Hold one call, as `bot.py` does."""
    await sonora.bot(runner_args)


@app.get("/soak/held")
async def held() -> dict[str, Any]:
    """Its tasks, threads and calls, once those that nothing refers to are gone."""
    from sonora_app.call.session import Session
    from sonora_app.storage.record_writer import RecordWriter

    gc.collect()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    # By the class itself: some objects pretend to be of another.
    classes = Counter[type](type(one) for one in gc.get_objects())
    # A writer is there for as long as it has records that are nowhere but in memory.
    of_calls = (Session, PipelineWorker, RecordWriter)
    calls = {one.__name__: classes[one] for one in of_calls if classes[one]}
    return {
        "tasks": sorted(_named(task) for task in tasks),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "calls": calls,
    }


@app.post("/soak/disk")
async def disk(full: bool) -> None:
    """Let the disk be full for the journal, or not any more."""
    await set_disk(full=full)


@app.post("/soak/clock")
async def clock(ahead_secs: int) -> None:
    """Set the clock, so far ahead of the true time."""
    set_ahead(ahead_secs)


def _named(task: asyncio.Task[Any]) -> str:
    """What a task does, since most names are only numbers."""
    coroutine = task.get_coro()
    does = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    named = "" if task.get_name().startswith("Task-") else f" ({task.get_name()})"
    return f"{does}{named}"


if __name__ == "__main__":
    sonora.main()
