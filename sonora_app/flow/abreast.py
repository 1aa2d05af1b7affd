"""Lets functions that the model calls in one answer run side by side.

Pipecat Flows never takes a step that is due while another function of the call still runs. So a
function that leads somewhere waits here for the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from loguru import logger
from pipecat.flows import (
    NO_RESPONSE,
    ConsolidatedFunctionResult,
    FlowArgs,
    FlowManager,
    FlowsFunctionSchema,
)

_RESULTS_SECS = 0.05
"""How long the result of a function takes at most to reach the context."""

_Handler = Callable[[FlowArgs, FlowManager], Awaitable[ConsolidatedFunctionResult]]


class FunctionsAbreast:
    """The functions of one call that run at the moment."""

    def __init__(self) -> None:
        """None runs yet."""
        self._running = 0
        self._moving = 0
        self._ran = asyncio.Event()

    @contextmanager
    def running(self) -> Generator[None]:
        """A function runs until the block ends."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._ran.set()

    async def others_are_done(self) -> None:
        """Wait, in a function that leads somewhere and has ended, for those beside it."""
        if not self._running:
            return
        self._moving += 1
        try:
            while self._running:
                self._ran.clear()
                await self._ran.wait()
            # Their results have to reach the context before this one's.
            await asyncio.sleep(_RESULTS_SECS)
        finally:
            self._moving -= 1

    def beside(self, schema: FlowsFunctionSchema) -> FlowsFunctionSchema:
        """A function that leads nowhere, which the model is offered besides those of a node."""
        handler = cast(_Handler, schema.handler)

        async def noted(args: FlowArgs, manager: FlowManager) -> ConsolidatedFunctionResult:
            try:
                with self.running():
                    result, answer = await handler(args, manager)
            except Exception as error:  # noqa: BLE001  # whatever it is, the model is told
                logger.error(f"{schema.name} failed: {type(error).__name__}")
                result, answer = {"status": "failed"}, None
            # Where a step follows, the next node has the model speak.
            return result, NO_RESPONSE if self._moving else answer

        return replace(schema, handler=noted)
