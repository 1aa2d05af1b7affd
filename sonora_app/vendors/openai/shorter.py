"""Repeats a request that was refused for its length, with less of the older talk in it.

The prompt is kept short (`call/earlier_talk.py`). A model with little room, or a person who pastes
a book, can bring it over the limit all the same, and a refusal of the whole would end the call.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from loguru import logger
from openai import APIStatusError, AsyncStream
from openai.types.chat import ChatCompletionChunk
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMContextMessage,
    standard_message_text,
)

from sonora_app.storage.history import shortened
from sonora_app.vendors.openai.sight import SeeingLLMService

_ATTEMPTS = 4
"""How often a request is sent, each time with half the talk of the time before."""

_REFUSED_WITH = (400, 413, 422)

_TOO_LONG = re.compile(
    r"context.{0,3}(length|window|size)|maximum.{0,20}(context|tokens|length)"
    r"|too (long|many tokens)"
    r"|max.{0,3}(model.{0,3}len|tokens|prompt)",
    re.IGNORECASE,
)
"""What servers that speak OpenAI's API say of a prompt that is too long. OpenAI has the code
`context_length_exceeded`."""

_Result = TypeVar("_Result")


class ShorteningLLMService(SeeingLLMService):
    """OpenAI's chat completions, of which a prompt that is too long is sent again with less."""

    # How many characters of talk were refused and taken last; None where none was refused.
    _refused_chars: int | None = None
    _taken_chars = 0

    def _has_async_tools(self) -> bool:
        """No function of Sonora's outlasts its call: tools that take long are told of otherwise.

        With True, 690 characters about them would join every request.
        """
        return False

    async def get_chat_completions(self, context: LLMContext) -> AsyncStream[ChatCompletionChunk]:
        """Ask for an answer, to less and less of the talk while that is refused as too long.

        Raises:
            openai.OpenAIError: The request was refused, or could not be sent.
        """
        return await self._ask_shorter(super().get_chat_completions, context)

    async def run_inference(self, context: LLMContext, *args: Any, **kwargs: Any) -> str | None:  # noqa: ANN401  # Pipecat's
        """Ask for something beside the call, likewise."""
        ask = super().run_inference
        return await self._ask_shorter(lambda context: ask(context, *args, **kwargs), context)

    async def _ask_shorter(
        self, ask: Callable[[LLMContext], Awaitable[_Result]], context: LLMContext
    ) -> _Result:
        messages = context.get_messages()
        size = talk_chars(messages)
        if self._refused_chars is not None and size >= self._refused_chars:
            context, size = _with_less(context, self._taken_chars)
        for attempt in range(_ATTEMPTS):
            try:
                answer = await ask(context)
            except APIStatusError as error:
                if attempt == _ATTEMPTS - 1 or not is_too_long(error):
                    raise
                logger.warning(f"The model refused a prompt of {size} characters as too long")
                self._refused_chars = min(size, self._refused_chars or size)
                context, size = _with_less(context, size // 2)
                self._taken_chars = size
            else:
                return answer
        raise AssertionError("the last attempt returns or raises")


def is_too_long(error: APIStatusError) -> bool:
    """Whether a request was refused because of its length."""
    if error.code == "context_length_exceeded":
        return True
    return error.status_code in _REFUSED_WITH and bool(_TOO_LONG.search(error.message))


def talk_chars(messages: Iterable[LLMContextMessage]) -> int:
    """How many characters of what was said, and of what functions gave, are in `messages`."""
    return sum(_chars(message) for message in messages if not _is_instruction(message))


def less_of(messages: Sequence[LLMContextMessage], max_chars: int) -> list[LLMContextMessage]:
    """The newest of `messages`, with all instructions among them.

    A call of a function stays with its result. The newest of all is there, shortened in its middle
    where it is too long by itself.

    Args:
        messages: The context's messages.
        max_chars: How many characters of talk to keep.
    """
    parts = _parts(messages)
    kept: set[int] = set()
    texts: dict[int, LLMContextMessage] = {}
    room = max_chars
    for part in reversed(parts):
        size = sum(_chars(messages[index]) for index in part)
        if size > room:
            if not kept:
                texts = {index: _cut(messages[index], room // len(part)) for index in part}
                kept.update(part)
            break
        kept.update(part)
        room -= size
    return [
        texts.get(index, message)
        for index, message in enumerate(messages)
        if index in kept or _is_instruction(message)
    ]


def _parts(messages: Sequence[LLMContextMessage]) -> list[list[int]]:
    """What can only be left out together, by the messages' numbers, oldest first."""
    parts: list[list[int]] = []
    part: list[int] | None
    part_of_call: dict[str, list[int]] = {}
    for index, message in enumerate(messages):
        if _is_instruction(message):
            continue
        fields = _fields(message)
        part = part_of_call.get(str(fields.get("tool_call_id") or _result_of(fields)))
        if part is None:
            part = []
            parts.append(part)
        part.append(index)
        for call in cast(list[Mapping[str, Any]], fields.get("tool_calls") or []):
            part_of_call[str(call.get("id"))] = part
    # One that waited long for its result counts by the result.
    return sorted(parts, key=lambda part: part[-1])


def _with_less(context: LLMContext, max_chars: int) -> tuple[LLMContext, int]:
    messages = less_of(context.get_messages(), max_chars)
    shorter = LLMContext(messages=messages, tools=context.tools, tool_choice=context.tool_choice)
    return shorter, talk_chars(messages)


def _fields(message: LLMContextMessage) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], message) if isinstance(message, dict) else {}


def _result_of(fields: Mapping[str, Any]) -> str | None:
    """The call that a developer's message brings the result of; Pipecat writes it as JSON."""
    content = fields.get("content")
    if fields.get("role") != "developer" or not isinstance(content, str):
        return None
    if not content.startswith("{"):
        return None
    try:
        told = json.loads(content)
    except ValueError:
        return None
    is_result = isinstance(told, dict) and "tool_call_id" in told
    return str(cast(dict[str, Any], told)["tool_call_id"]) if is_result else None


def _is_instruction(message: LLMContextMessage) -> bool:
    fields = _fields(message)
    return fields.get("role") in ("developer", "system") and _result_of(fields) is None


def _chars(message: LLMContextMessage) -> int:
    fields = _fields(message)
    content, calls = fields.get("content"), fields.get("tool_calls")
    # Of pictures the words beside them count: a vendor counts a picture by its size in pixels.
    text = content if isinstance(content, str) else standard_message_text(message)
    return len(text) + (len(json.dumps(calls, default=str)) if calls else 0)


def _cut(message: LLMContextMessage, max_chars: int) -> LLMContextMessage:
    content = _fields(message).get("content")
    if not isinstance(content, str):
        return message
    return cast(LLMContextMessage, {**_fields(message), "content": shortened(content, max_chars)})
