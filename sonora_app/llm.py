"""The language model: OpenAI, or anything that speaks its chat completions API."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from openai import APITimeoutError, AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletionChunk
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService

from sonora_app.settings import Settings, Vendor

FIRST_TOKEN_SECS = 6.0
"""How long the first token may take before the request is given up and sent once more."""

SECOND_ATTEMPT_SECS = 10.0
"""How long the first token of the second attempt may take: an answer that has not begun after
16 s never does."""

TIMEOUT = Timeout(connect=3.0, read=10.0, write=5.0, pool=3.0)
"""Seconds for each step of a request. `read` bounds the pause between two tokens."""

MAX_RETRIES = 1
"""How often the client itself repeats a request that was refused with 408, 409, 429 or 5xx, or
that could not connect. It does so within the time for the first token, however long the refusal
asks to wait."""


class BoundedOpenAILLMService(OpenAILLMService):
    """OpenAI's chat completions, with the client's patience set for talk.

    The client's own defaults (ten minutes, two retries) fit no conversation.
    """

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:  # noqa: ANN401  # Pipecat's signature
        """Create the client with `TIMEOUT` and `MAX_RETRIES`."""
        client = super().create_client(*args, **kwargs)
        return client.with_options(timeout=TIMEOUT, max_retries=MAX_RETRIES)

    async def get_chat_completions(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, context: LLMContext
    ) -> AsyncGenerator[ChatCompletionChunk]:
        """Begin an answer, with a second attempt when the first gives no token in time.

        Pipecat's own second attempt waits for the response to begin and not for the first token,
        which may come much later, and has no limit itself. Pipecat declares the client's own
        stream class here, and uses it as an iterator.

        Args:
            context: What the model is asked.

        Returns:
            The answer's chunks, of which the first with a token in it has come.
        """
        try:
            return await self._begin(context, FIRST_TOKEN_SECS)
        except (TimeoutError, APITimeoutError):
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
        async for chunk in stream:
            yield chunk
    finally:
        await stream.close()


def build_llm(settings: Settings) -> OpenAILLMService:
    """The language model of a call.

    Args:
        settings: Must hold a key for it.
    """
    key = settings.key(Vendor.LLM)
    if key is None:
        raise ValueError("build_llm needs an OpenAI key")
    return BoundedOpenAILLMService(
        api_key=key.get_secret_value(),
        base_url=settings.openai_base_url or None,
        settings=BoundedOpenAILLMService.Settings(model=settings.openai_model),
    )
