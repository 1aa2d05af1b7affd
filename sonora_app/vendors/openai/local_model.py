"""A model on this machine, behind a server that speaks OpenAI's chat completions API.

Ollama, llama.cpp, vLLM and LM Studio serve so. They differ from OpenAI in what matters to a call:

- Their chat templates know no role `developer`, and some refuse two messages of one role in a row.
- They compute one answer at a time. A second attempt at a slow answer only makes it slower.
- What is wrong with them, whoever runs the bot can mend: so errors say what to do.
"""

import asyncio
from typing import Any, cast

from loguru import logger
from openai import APIConnectionError, APIStatusError, APITimeoutError, NotFoundError, OpenAIError
from openai.types.chat import ChatCompletionMessageParam
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.processors.aggregators.llm_context import LLMContext

from sonora_app.settings.addresses import host_and_port
from sonora_app.vendors.openai.guards import Chunks, EmptyAnswerError, unechoed
from sonora_app.vendors.openai.requests import BoundedOpenAILLMService

_INSTRUCTIONS = "# Instructions\n"
_PERSON = "# The person says\n"


class LocalLLMService(BoundedOpenAILLMService):
    """A model on this machine, whose errors say what to do.

    Args:
        base_url: The server's address, up to and including `/v1`.
        model: The name that the server has for it.
        **kwargs: As for `BoundedOpenAILLMService`.
    """

    # Whoever asks again while the first answer is computed waits for both.
    repeated_after = (EmptyAnswerError,)
    # A weak model often forgets to call anything.
    goodbyes_heeded = 1

    def __init__(self, *, base_url: str, model: str, **kwargs: Any) -> None:  # noqa: ANN401
        """Create the service, which asks nothing yet."""
        settings = BoundedOpenAILLMService.Settings(model=model)
        super().__init__(base_url=base_url, settings=settings, **kwargs)
        self._where = host_and_port(base_url)
        self._asked_for = model
        self._instructions: list[str] = []
        self._ahead: asyncio.Task[None] | None = None

    def read_ahead(self, context: LLMContext, instruction: str | None) -> None:
        """Have the server read a prompt that the next request will begin with.

        Args:
            context: The beginning of its messages, and its tools.
            instruction: Its system instruction.
        """
        reading = self._read(context, instruction)
        self._ahead = self.create_task(reading, f"{self}::read_ahead")

    async def is_free(self) -> None:
        """Wait until the server has read what it reads ahead: it would read it twice."""
        if self._ahead is not None:
            await asyncio.wait([self._ahead])

    async def cleanup(self) -> None:
        """Clean up, and read ahead no longer."""
        if self._ahead is not None:
            await self.cancel_task(self._ahead)
            self._ahead = None
        await super().cleanup()

    async def _read(self, context: LLMContext, instruction: str | None) -> None:
        try:
            await self.run_inference(context, max_tokens=1, system_instruction=instruction)
        except OpenAIError as error:
            # The request for an answer will meet the same error, and the person is told then.
            told = self.in_words(error) or type(error).__name__
            logger.warning(f"The model could not read ahead: {told}")

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Build a request in which no two messages of a role follow one another."""
        messages = cast(list[dict[str, Any]], params_from_context["messages"])
        told = [each["content"] for each in messages if each["role"] in ("system", "developer")]
        self._instructions = [each for each in told if isinstance(each, str)]
        sent = cast(list[ChatCompletionMessageParam], alternating(messages))
        params = super().build_chat_completion_params({**params_from_context, "messages": sent})
        # Without it, Pipecat bounds an answer by the older name, which every server knows.
        params.pop("max_completion_tokens", None)
        return params

    def guarded(self, chunks: Chunks, context: LLMContext) -> Chunks:
        """An answer that does not repeat the instructions either."""
        return unechoed(super().guarded(chunks, context), self._instructions)

    def in_words(self, exception: Exception) -> str | None:
        """What is wrong with the server, and what to do; None where that is not known.

        Args:
            exception: What a request ended with.
        """
        model, where = self._asked_for, self._where
        match exception:
            case NotFoundError():
                return (
                    f"the server at {where} has no model {model}: set OPENAI_MODEL to one that it "
                    "has, which `uv run sonora doctor` lists"
                )
            case APIStatusError(status_code=503):
                return f"the server at {where} has not loaded {model} yet: wait, or look at its log"
            case APITimeoutError() | TimeoutError():
                why = str(exception) or "no answer in time"
                return (
                    f"{model} at {where} is too slow ({why}): take a smaller model, or a machine "
                    "with a graphics processor"
                )
            case APIConnectionError():
                return f"nothing answers at {where}: start the server, or set OPENAI_BASE_URL"
            case _:
                return None


def alternating(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`messages` in the roles that every server knows, none of which follows itself.

    Instructions go to the model as messages of the user's, under a heading that tells them from
    what the person says. A message that follows one of the same role is appended to it: so what a
    server has read of a conversation stays as it was, whatever is said next.

    Args:
        messages: As OpenAI takes them.
    """
    sent: list[dict[str, Any]] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role == "developer":
            message = {**message, "role": "user", "content": f"{_INSTRUCTIONS}{content}"}
        last = sent[-1] if sent else {}
        if last.get("role") == message["role"] and message["role"] in ("user", "assistant"):
            if role == "user" and isinstance(content, str):
                message = {**message, "content": f"{_PERSON}{content}"}
            sent[-1:] = _as_one(last, message)
        else:
            sent.append(message)
    return sent


def _as_one(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Two messages of one role as one, where both are text; where one has calls, both."""
    texts = first.get("content"), second.get("content")
    if "tool_calls" in first or "tool_calls" in second:
        return [first, second]
    if all(isinstance(text, str) for text in texts):
        return [{**first, "content": f"{texts[0]}\n\n{texts[1]}"}]
    return [{**first, "content": [*_parts(texts[0]), *_parts(texts[1])]}]


def _parts(content: Any) -> list[Any]:  # noqa: ANN401  # as OpenAI's client takes it
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
