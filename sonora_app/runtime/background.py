"""Coroutines that run for as long as a block of code does."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from loguru import logger


@contextlib.asynccontextmanager
async def running_beside(*coroutines: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run coroutines beside the body, and end them with it. One that fails is told in the log."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.opt(exception=outcome).error("A part of the call failed")
