"""Ends the calls of a person who is being erased, and forgets what this process holds of them.

Another process erases: `sonora users erase`. It leaves a mark that every process looks for.
"""

import asyncio

from loguru import logger

from sonora_app.process.calls import calls
from sonora_app.process.knowledge import current_search
from sonora_app.settings import Settings
from sonora_app.storage.calls_to_end import LOOK_SECS, CallsToEnd
from sonora_app.storage.records import EndReason

_watching: asyncio.Task[None] | None = None


def watch_for_erasures(settings: Settings) -> None:
    """Look for people who are being erased, until `stop_watching`. Again changes nothing."""
    global _watching
    if _watching is None or _watching.done():
        _watching = asyncio.create_task(_watch(settings), name="sonora-erasures")


async def stop_watching() -> None:
    """Look no more."""
    global _watching
    task, _watching = _watching, None
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watch(settings: Settings) -> None:
    marks = CallsToEnd(settings.journal_path)
    while True:
        await asyncio.sleep(LOOK_SECS)
        if not marks.any():
            continue
        if search := current_search():
            for person in {each.user_id for each in search.unanswered if each.user_id}:
                if marks.include(person):
                    search.forget(person)
        for call in calls.held():
            if call.user_id is None or not marks.include(call.user_id):
                continue
            logger.info("Ending a call, since the person is being erased")
            try:
                await call.end(within_secs=settings.drain_secs, reason=EndReason.ERASED)
            except Exception as error:  # noqa: BLE001  # the others are to end all the same
                logger.opt(exception=error).error("A call cannot be ended")
