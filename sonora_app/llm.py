"""The language model: OpenAI, or anything that speaks its chat completions API."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast

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
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.frames.frames import ErrorFrame, Frame, LLMUpdateSettingsFrame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.errors import ErrorCategory
from pydantic import SecretStr

from sonora_app.settings import Settings, Vendor
from sonora_app.vendors.failover import FailoverAtOnce
from sonora_app.vendors.openai.speculation import ForetellingLLMService

FIRST_TOKEN_SECS = 6.0
"""How long the first token may take before the request is given up and sent once more."""

SECOND_ATTEMPT_SECS = 4.0
"""How long the first token of the second attempt may take: an answer that has not begun after
10 s never does."""

HOLD_ON_SECS = 3.0
"""How long the first token may take before the user is asked for a moment's patience."""

NEXT_TOKEN_SECS = 4.0
"""How long an answer that has begun may pause before it is given up."""

MAX_LOST = 3
"""How many answers in a row may be lost before the model counts as out of order."""

TIMEOUT = Timeout(connect=3.0, read=10.0, write=5.0, pool=3.0)
"""Seconds for each step of a request. `read` bounds what is not streamed: the summary."""

MAX_RETRIES = 1
"""How often the client itself repeats a request that was refused with 408, 409, 429 or 5xx, or
that could not connect. It does so within the time for the first token, however long the refusal
asks to wait."""


_PLAIN = ("messages", "tools")
"""What of a request is JSON by itself, and large."""


class EmptyAnswerError(Exception):
    """The model's answer ended without a word or a tool call in it."""


class BoundedOpenAILLMService(ForetellingLLMService):
    """OpenAI's chat completions, with the client's patience set for talk.

    The client's own defaults (ten minutes, two retries) fit no conversation.

    Event handlers, besides Pipecat's:

    - on_late(service): the first token has not come within `HOLD_ON_SECS`.
    - on_begun(service): it has come.

    Args:
        attempts: How many requests an answer may take; another service may be quicker.
        **kwargs: As for `OpenAILLMService`.

    Attributes:
        begun: Whether the answer asked for last has begun.
    """

    def __init__(self, *, attempts: int = 2, **kwargs: Any) -> None:  # noqa: ANN401
        """Create the service, which asks nothing yet."""
        super().__init__(**kwargs)
        self._register_event_handler("on_late")
        self._register_event_handler("on_begun")
        self.begun = False
        self._attempts = attempts
        self._lost_in_a_row = 0
        self._connecting: asyncio.Task[None] | None = None

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:  # noqa: ANN401  # Pipecat's signature
        """Create the client with `TIMEOUT` and `MAX_RETRIES`."""
        client = super().create_client(*args, **kwargs)
        # The first answer of a process would wait for the import of it.
        _ = client.chat.completions
        return client.with_options(timeout=TIMEOUT, max_retries=MAX_RETRIES)

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Build a request whose messages and tools the client sends as they are.

        It would hold each part of each of them against every type that it knows, to rename fields
        that none of them has: 0.13 ms a message.
        """
        # Pipecat's annotation says no more than `dict`.
        params = cast(dict[str, Any], super().build_chat_completion_params(params_from_context))
        as_they_are = {name: params.pop(name) for name in _PLAIN if params.get(name)}
        extra_body = {**params.pop("extra_body", {}), **as_they_are}
        return {**params, "messages": [], "extra_body": extra_body}

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
        """Report a lost answer; after `MAX_LOST` in a row the service counts as out of order."""
        if error.category is not ErrorCategory.APPLICATION:
            self._lost_in_a_row += 1
        permanent = force_treat_as_permanent or self._lost_in_a_row >= MAX_LOST
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
        # What asking for an answer would find out is found out then.
        with contextlib.suppress(OpenAIError):
            client = self._client.with_options(timeout=TIMEOUT.connect, max_retries=0)
            await client.get("/models", cast_to=httpx.Response)

    async def _say_when_late(self) -> None:
        await asyncio.sleep(HOLD_ON_SECS)
        await self._call_event_handler("on_late")

    async def _attempt(self, context: LLMContext) -> AsyncGenerator[ChatCompletionChunk]:
        if self._attempts < 2:
            return await self._begin(context, FIRST_TOKEN_SECS)
        try:
            return await self._begin(context, FIRST_TOKEN_SECS)
        except (
            TimeoutError,
            APITimeoutError,
            APIConnectionError,
            httpx.TransportError,
            EmptyAnswerError,
        ):
            return await self._begin(context, SECOND_ATTEMPT_SECS)

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
        return _rejoined(first, stream)


def _has_token(chunk: ChatCompletionChunk) -> bool:
    return any(choice.delta.content or choice.delta.tool_calls for choice in chunk.choices)


async def _rejoined(
    first: list[ChatCompletionChunk], stream: AsyncStream[ChatCompletionChunk]
) -> AsyncGenerator[ChatCompletionChunk]:
    try:
        for chunk in first:
            yield chunk
        following = aiter(stream)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                async with asyncio.timeout(NEXT_TOKEN_SECS):
                    chunk = await anext(following)
                yield chunk
    except TimeoutError:
        raise TimeoutError(f"no further token within {NEXT_TOKEN_SECS:g} s") from None
    finally:
        await stream.close()


class InformedLLMSwitcher(LLMSwitcher[FailoverAtOnce]):
    """Pipecat's switcher, in which the fallback is told what the flow tells the model."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Have a change of settings, such as the role in the flow, reach every model."""
        if isinstance(frame, LLMUpdateSettingsFrame):
            frame.reach_inactive_services = True
        await super().process_frame(frame, direction)


def build_llm(settings: Settings) -> OpenAILLMService | LLMSwitcher[FailoverAtOnce]:
    """The language model of a call, and its fallback if the settings name one.

    Args:
        settings: Must hold a key for it.
    """
    key = settings.key(Vendor.LLM)
    if key is None:
        raise ValueError("build_llm needs an OpenAI key")
    if not settings.has_fallback(Vendor.LLM):
        return _service(key, settings.openai_base_url, settings.openai_model)
    services = [
        _service(key, settings.openai_base_url, settings.openai_model, attempts=1),
        _service(
            settings.openai_fallback_api_key or key,
            settings.openai_fallback_base_url or settings.openai_base_url,
            settings.openai_fallback_model or settings.openai_model,
            attempts=1,
        ),
    ]
    # Generic over its adapter, and invariant in it, where any adapter would do.
    return InformedLLMSwitcher(services, FailoverAtOnce)  # pyright: ignore[reportArgumentType]


def _service(
    key: SecretStr, base_url: str, model: str, *, attempts: int = 2
) -> BoundedOpenAILLMService:
    return BoundedOpenAILLMService(
        attempts=attempts,
        api_key=key.get_secret_value(),
        base_url=base_url or None,
        settings=BoundedOpenAILLMService.Settings(model=model),
    )
