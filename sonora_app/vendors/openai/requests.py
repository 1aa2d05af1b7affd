"""An OpenAI service whose time limits and retries suit a spoken conversation."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from itertools import takewhile
from typing import Any

import httpx
from loguru import logger
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    OpenAIError,
)
from openai.types.chat import ChatCompletionChunk
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.http import TIMEOUT_EXCEPTIONS, connection_limits

from sonora_app.flow.goodbyes import way_out
from sonora_app.vendors.openai.answers import (
    CutShortError,
    Progress,
    is_speakable,
    mended,
)
from sonora_app.vendors.openai.aside import TokensAside
from sonora_app.vendors.openai.guards import (
    Chunks,
    EmptyAnswerError,
    unheeded,
    wound_up,
)
from sonora_app.vendors.openai.limits import (
    AnswerLimits,
    offered_in,
    retry_after_secs,
    steps_since_user,
)
from sonora_app.vendors.openai.pace import Paced, rejoined
from sonora_app.vendors.openai.speculation import ForetellingLLMService

_REPEATED: tuple[type[Exception], ...] = (
    TimeoutError,
    APITimeoutError,
    APIConnectionError,
    # Which of the two families of HTTP clients OpenAI's is made with, Pipecat knows.
    *(error.__mro__[1] for error in TIMEOUT_EXCEPTIONS),
    EmptyAnswerError,
)

_OWN_ERRORS = (TimeoutError, EmptyAnswerError, CutShortError)
"""What is told of these holds nothing of the answer."""

_FOR_GOOD = (401, 403, 404)
"""Refusals of the key or the model: the next request is refused as well."""

_FOR_ITS_CONTENT = (400, 409, 413, 422)
"""Refusals of one request for what is in it."""


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
        aside: The tokens of what was asked beside the talk.
        repeated_after: What a request is repeated after, where no other model is quicker.
        goodbyes_heeded: After how many plain goodbyes in a row the call is wound up, though the
            model calls nothing.
    """

    repeated_after: tuple[type[Exception], ...] = _REPEATED

    # A strong model that answers a goodbye with words may know more of it than the words tell: it
    # asked for one, say. Twice in a row it is mistaken.
    goodbyes_heeded = 2

    def __init__(self, *, limits: AnswerLimits, attempts: int = 2, **kwargs: Any) -> None:  # noqa: ANN401
        """Create the service, which asks nothing yet."""
        # Pipecat's constructor creates the client.
        self._limits = limits
        self.aside = TokensAside()
        super().__init__(**kwargs)
        self._register_event_handler("on_late")
        self._register_event_handler("on_begun")
        self.begun = False
        self._attempts = attempts
        self._lost_in_a_row = 0
        self._wants_words = False
        self._give_up_at = 0.0
        self._connecting: asyncio.Task[None] | None = None

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:  # noqa: ANN401  # Pipecat's signature
        """Create the client with its part of the limits."""
        client = super().create_client(*args, **kwargs)
        # The first answer of a process would wait for the import of it.
        _ = client.chat.completions
        self._asks_by = client.with_options(
            timeout=self._limits.timeout,
            max_retries=self._limits.max_retries,
            # As Pipecat's, which keeps connections for the whole call.
            http_client=DefaultAsyncHttpxClient(
                limits=connection_limits(max_keepalive_connections=100, keepalive_expiry=None),
                event_hooks={"response": [self._bound_wait, self.aside.count]},
            ),
        )
        return self._asks_by

    async def _bound_wait(self, response: httpx.Response) -> None:
        if retry_after_secs(response.headers) > self._limits.retry_after_secs:
            # OpenAI's client would wait, and heeds this header.
            response.headers["x-should-retry"] = "false"

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Build a request; after too many steps in a turn, one that is answered in words."""
        params = super().build_chat_completion_params(params_from_context)
        if self._wants_words and params_from_context["tools"]:
            params["tool_choice"] = "none"
        return params

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

    async def push_error(
        self,
        error_msg: str,
        exception: Exception | None = None,
        fatal: bool = False,
        category: ErrorCategory | None = None,
        force_treat_as_permanent: bool = False,
    ) -> None:
        """Report an error, without what the vendor says of it, which may quote what people say."""
        if exception is not None and (told := self.in_words(exception)):
            error_msg = told
            # Pipecat's line of it is redacted, since a vendor's error may quote what people say.
            logger.warning(f"The language model: {told}")
        elif isinstance(exception, APIStatusError):
            error_msg = f"the model refused the request ({exception.status_code})"
        elif exception is not None and not isinstance(exception, _OWN_ERRORS):
            error_msg = f"the model's answer was lost ({type(exception).__name__})"
        await super().push_error(error_msg, exception, fatal, category, force_treat_as_permanent)

    def in_words(self, exception: Exception) -> str | None:
        """What is wrong, and what whoever runs the bot can do; None where they can do nothing."""
        return None

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Report a lost answer; after `max_lost` in a row the service counts as out of order.

        A request that was refused for what is in it says nothing of the next one: the service can
        be used on, and is not exchanged for another.
        """
        # A guess whose answer was lost is asked for again, when the turn is over.
        if error.category is not ErrorCategory.APPLICATION and not self._gate.is_speculating:
            self._lost_in_a_row += 1
        permanent = force_treat_as_permanent or self._lost_in_a_row >= self._limits.max_lost
        refused = isinstance(error.exception, APIStatusError) and error.exception.status_code
        if refused in _FOR_ITS_CONTENT and not permanent:
            error.category = ErrorCategory.APPLICATION
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
            The answer's chunks, of which the first words or all the calls have come.

        Raises:
            TimeoutError: No token came in time, twice.
            EmptyAnswerError: The answer had nothing in it to say or to call, twice.
            openai.OpenAIError: The request was refused, or could not be sent.
        """
        self.begun = False
        self._wants_words = steps_since_user(context) >= self._limits.steps_a_turn
        late = asyncio.create_task(self._say_when_late(), name="sonora-say-when-late")
        try:
            chunks = await self._attempt(context)
        finally:
            late.cancel()
        self.begun = True
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
        repeated = self.repeated_after if self._attempts > 1 else ()
        limits = self._limits
        # However long calls go on coming: whoever waits hears nothing of them.
        longest = limits.first_token_secs + limits.second_attempt_secs
        self._give_up_at = asyncio.get_running_loop().time() + longest
        try:
            return await self._begin(context, self._limits.first_token_secs)
        except repeated:
            pass
        except APIStatusError as refusal:
            # A gateway may refuse a key once, or a model. Twice counts.
            if refusal.status_code not in _FOR_GOOD:
                raise
        return await self._begin(context, self._limits.second_attempt_secs)

    async def _begin(
        self, context: LLMContext, timeout_secs: float
    ) -> AsyncGenerator[ChatCompletionChunk]:
        offered = () if self._wants_words else offered_in(context)
        try:
            async with asyncio.timeout(timeout_secs) as limit:
                await self.is_free()
                paced = Paced(await super().get_chat_completions(context))
                chunks = self.guarded(mended(paced, offered), context)
                try:
                    first = await self._first_of(chunks, limit)
                except BaseException:
                    await chunks.aclose()
                    await paced.close()
                    raise
        except TimeoutError:
            raise TimeoutError(f"no token within {timeout_secs:g} s") from None
        paced.next_secs = self._limits.next_token_secs
        return rejoined(first, chunks, paced)

    async def is_free(self) -> None:
        """Wait until the model can be asked."""

    def guarded(self, chunks: Chunks, context: LLMContext) -> Chunks:
        """An answer of which a plain goodbye winds the call up, also where it calls nothing.

        Args:
            chunks: What the model answers.
            context: What it was asked.
        """
        said = unheeded(context.get_messages())
        offered = () if self._wants_words else offered_in(context)
        goodbyes = [*takewhile(bool, (way_out(turn, offered) for turn in said))]
        if len(goodbyes) < self.goodbyes_heeded or not goodbyes[0]:
            return chunks
        return wound_up(chunks, goodbyes[0])

    async def _first_of(self, chunks: Chunks, limit: asyncio.Timeout) -> list[ChatCompletionChunk]:
        """What comes of an answer until it can be begun: some words, or all of its calls."""
        first: list[ChatCompletionChunk] = []
        words, until = "", None
        now = asyncio.get_running_loop().time
        try:
            async for chunk in chunks:
                if isinstance(chunk, Progress):
                    until = until or min(now() + self._limits.calls_secs, self._give_up_at)
                    limit.reschedule(min(until, now() + self._limits.next_token_secs))
                    continue
                first.append(chunk)
                delta = chunk.choices[0].delta if chunk.choices else None
                words += (delta and delta.content) or ""
                if is_speakable(words):
                    self._lost_in_a_row = 0
                    return first
        except CutShortError:
            pass
        if not any(chunk.choices and chunk.choices[0].delta.tool_calls for chunk in first):
            raise EmptyAnswerError("the answer had nothing in it to say or to do")
        return first
