"""`bot.py`, with a route that tells what the process holds. Run as a program by `process.py`."""

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


async def bot(runner_args: RunnerArguments) -> None:
    """Hold one call, as `bot.py` does."""
    await sonora.bot(runner_args)


@app.get("/soak/held")
async def held() -> dict[str, Any]:
    """Its tasks, threads and calls, once those that nothing refers to are gone."""
    from sonora_app.call.session import Session

    gc.collect()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    # By the class itself: some objects pretend to be of another.
    classes = Counter[type](type(one) for one in gc.get_objects())
    calls = {one.__name__: classes[one] for one in (Session, PipelineWorker) if classes[one]}
    return {
        "tasks": sorted(_named(task) for task in tasks),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "calls": calls,
    }


def _named(task: asyncio.Task[Any]) -> str:
    """What a task does, since most names are only numbers."""
    coroutine = task.get_coro()
    does = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    named = "" if task.get_name().startswith("Task-") else f" ({task.get_name()})"
    return f"{does}{named}"


if __name__ == "__main__":
    sonora.main()
