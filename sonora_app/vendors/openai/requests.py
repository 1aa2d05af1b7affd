"""An OpenAI service whose time limits and retries suit a spoken conversation."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    OpenAIError,
    Timeout,
)
from openai.types.chat import ChatCompletionChunk
from pipecat.frames.frames import ErrorFrame, Frame, LLMUpdateSettingsFrame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.utils.errors import ErrorCategory

from sonora_app.vendors.failover import FailoverAtOnce
from sonora_app.vendors.openai.speculation import ForetellingLLMService


@dataclass(frozen=True)
class AnswerLimits:
    """How long an answer may take, in seconds, and how often it is asked for.

    Attributes:
        first_token_secs: How long the first token may take before the request is given up and
            sent once more.
        second_attempt_secs: How long the first token of the second attempt may take.
        hold_on_secs: How long the first token may take before the user is asked for a moment's
            patience.
        next_token_secs: How long an answer that has begun may pause before it is given up.
        timeout: Seconds for each step of a request. `read` bounds what is not streamed: the
            summary.
        max_retries: How often OpenAI's client itself repeats a request that was refused with 408,
            409, 429 or 5xx, or that could not connect. It does so within the time for the first
            token, however long the refusal asks to wait.
        max_lost: How many answers in a row may be lost before the model counts as out of order.
    """

    first_token_secs: float
    second_attempt_secs: float
    hold_on_secs: float
    next_token_secs: float
    timeout: Timeout
    max_retries: int
    max_lost: int


class EmptyAnswerError(Exception):
    """The model's answer ended without a word and without a tool call."""


class BoundedOpenAILLMService(ForetellingLLMService):
    """OpenAI's chat completions, with time limits that suit a spoken conversation.

    The client's own defaults (ten minutes, two retries) fit no conversation.

    Event handlers, besides Pipecat's:

    - on_late(service): the first token has not come within `limits.hold_on_secs`.
    - on_begun(service): the first token has come.

    Args:
        limits: How long an answer may take.
        attempts: How many requests an answer may take; another service may be quicker.
        **kwargs: As for `OpenAILLMService`.

    Attributes:
        begun: Whether the answer asked for last has begun.
    """

    def __init__(self, *, limits: AnswerLimits, attempts: int = 2, **kwargs: Any) -> None:  # noqa: ANN401
        """Create the service, which asks nothing yet."""
        # Pipecat's constructor creates the client.
        self._limits = limits
        super().__init__(**kwargs)
        self._register_event_handler("on_late")
        self._register_event_handler("on_begun")
        self.begun = False
        self._attempts = attempts
        self._lost_in_a_row = 0
        self._connecting: asyncio.Task[None] | None = None

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:  # noqa: ANN401  # Pipecat's signature
        """Create the client with its part of the limits."""
        client = super().create_client(*args, **kwargs)
        # The first answer of a process would wait for the import of it.
        _ = client.chat.completions
        self._asks_by = client.with_options(
            timeout=self._limits.timeout, max_retries=self._limits.max_retries
        )
        return self._asks_by

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set up, and connect: the first answer would wait for it."""
        await super().setup(setup)
        self._connecting = self.create_task(self._connect(), f"{self}::_connect")

    async def cleanup(self) -> None:
        """Clean up, and connect no longer."""
        if self._connecting is not None:
            await self.cancel_task(self._connecting)
            self._connecting = None
        await super().cleanup()

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Report a lost answer; after `max_lost` in a row the service counts as out of order."""
        if error.category is not ErrorCategory.APPLICATION:
            self._lost_in_a_row += 1
        permanent = force_treat_as_permanent or self._lost_in_a_row >= self._limits.max_lost
        await super().push_error_frame(error, force_treat_as_permanent=permanent)

    async def get_chat_completions(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, context: LLMContext
    ) -> AsyncGenerator[ChatCompletionChunk]:
        """Begin an answer, with a second attempt when the first gives no token, or not in time.

        Pipecat's own second attempt waits for the response to begin and not for the first token,
        which may come much later, and has no limit itself. Pipecat declares the client's own
        stream class here, and uses it as an iterator.

        Args:
            context: What the model is asked.

        Returns:
            The answer's chunks, of which the first with a token in it has come.

        Raises:
            TimeoutError: No token came in time, twice.
            EmptyAnswerError: The answer ended with no token in it, twice.
            openai.OpenAIError: The request was refused, or could not be sent.
        """
        self.begun = False
        late = asyncio.create_task(self._say_when_late(), name="sonora-say-when-late")
        try:
            chunks = await self._attempt(context)
        finally:
            late.cancel()
        self.begun = True
        self._lost_in_a_row = 0
        await self._call_event_handler("on_begun")
        return chunks

    async def _connect(self) -> None:
        # Ignored here: the request for an answer will meet the same error.
        with contextlib.suppress(OpenAIError):
            client = self._asks_by.with_options(timeout=self._limits.timeout.connect, max_retries=0)
            await client.get("/models", cast_to=httpx.Response)

    async def _say_when_late(self) -> None:
        await asyncio.sleep(self._limits.hold_on_secs)
        await self._call_event_handler("on_late")

    async def _attempt(self, context: LLMContext) -> AsyncGenerator[ChatCompletionChunk]:
        if self._attempts < 2:
            return await self._begin(context, self._limits.first_token_secs)
        try:
            return await self._begin(context, self._limits.first_token_secs)
        except (
            TimeoutError,
            APITimeoutError,
            APIConnectionError,
            httpx.TransportError,
            EmptyAnswerError,
        ):
            return await self._begin(context, self._limits.second_attempt_secs)

    async def _begin(
        self, context: LLMContext, timeout_secs: float
    ) -> AsyncGenerator[ChatCompletionChunk]:
        first: list[ChatCompletionChunk] = []
        try:
            async with asyncio.timeout(timeout_secs):
                stream = await super().get_chat_completions(context)
                try:
                    async for chunk in stream:
                        first.append(chunk)
                        if _has_token(chunk):
                            break
                    else:
                        raise EmptyAnswerError("the answer was empty")
                except BaseException:
                    await stream.close()
                    raise
        except TimeoutError:
            raise TimeoutError(f"no token within {timeout_secs:g} s") from None
        return _rejoined(first, stream, self._limits.next_token_secs)


def _has_token(chunk: ChatCompletionChunk) -> bool:
    return any(choice.delta.content or choice.delta.tool_calls for choice in chunk.choices)


async def _rejoined(
    first: list[ChatCompletionChunk],
    stream: AsyncStream[ChatCompletionChunk],
    next_token_secs: float,
) -> AsyncGenerator[ChatCompletionChunk]:
    try:
        for chunk in first:
            yield chunk
        following = aiter(stream)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                async with asyncio.timeout(next_token_secs):
                    chunk = await anext(following)
                yield chunk
    except TimeoutError:
        raise TimeoutError(f"no further token within {next_token_secs:g} s") from None
    finally:
        await stream.close()


class InformedLLMSwitcher(LLMSwitcher[FailoverAtOnce]):
    """Pipecat's switcher, whose fallback also gets the settings that the flow gives the model."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Have a change of settings, such as the role in the flow, reach every model."""
        if isinstance(frame, LLMUpdateSettingsFrame):
            frame.reach_inactive_services = True
        await super().process_frame(frame, direction)
