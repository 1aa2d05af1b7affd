"""Lets functions that the model calls in one answer run side by side.

Pipecat Flows never takes a step that is due while another function of the call still runs. So a
function that leads somewhere waits here for the others. It also has the model answer after each
function that leads nowhere. So of several that are called in one answer, the last one to end has it
answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
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

_BEGUN_SECS = 0.02
"""How long it takes at most until all the functions of one answer run."""

_Handler = Callable[[FlowArgs, FlowManager], Awaitable[ConsolidatedFunctionResult]]


class FunctionsAbreast:
    """The functions of one call that run at the moment."""

    def __init__(self) -> None:
        """None runs yet."""
        self._running = 0
        self._moving = 0
        self._together = False
        self._ran = asyncio.Event()

    async def called(self, _model: object, functions: Sequence[object]) -> None:
        """Note what a model calls in one answer."""
        self._together = len(functions) > 1

    async def all_begun(self) -> None:
        """Wait, in a function that runs, until those beside it do."""
        if self._together:
            await asyncio.sleep(_BEGUN_SECS)

    @property
    def answered_later(self) -> bool:
        """Whether the model answers after a step, or after another function that runs still."""
        return self._moving > 0 or self._running > 0

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
                    await self.all_begun()
            except Exception as error:  # noqa: BLE001  # whatever it is, the model is told
                logger.error(f"{schema.name} failed: {type(error).__name__}")
                result, answer = {"status": "failed"}, None
            return result, NO_RESPONSE if self.answered_later else answer

        return replace(schema, handler=noted)
