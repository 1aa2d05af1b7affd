"""Keeps a weak model from getting a call stuck: by a goodbye unheard, or the prompt read out."""

import json
import re
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from openai.types.chat import ChatCompletionChunk
from pipecat.processors.aggregators.llm_context import LLMContextMessage

from sonora_app.vendors.openai.answers import CutShortError, Progress

Chunks: TypeAlias = AsyncGenerator[ChatCompletionChunk | Progress]

_ECHO_WORDS = 8
"""So many words in a row that stand in the instructions are no coincidence."""

_DATA = re.compile(r"<(quoted|passage|facts)\b.*?</\1>", re.DOTALL)
"""What stands in instructions and may well be said: what people said, and passages of documents."""


class EmptyAnswerError(Exception):
    """The model's answer ended without a word that can be said or a call that can be done."""


class EchoError(EmptyAnswerError):
    """The model's answer repeats what it was told to do."""


def unheeded(messages: Sequence[LLMContextMessage]) -> list[str]:
    """What the person said last, and in the turns before it that were answered in words alone.

    Args:
        messages: The context's messages.

    Returns:
        The last turn first; empty where it was answered already.
    """
    turns: list[list[str]] = []
    begun = False
    for message in reversed(messages):
        if not isinstance(message, dict) or message.get("tool_calls"):
            break
        role, content = message.get("role"), message.get("content")
        if role == "tool" or (role == "assistant" and not turns):
            break
        if role == "assistant":
            begun = False
        elif role == "user" and isinstance(content, str):
            if not begun:
                turns.append([])
            begun = True
            turns[-1].insert(0, content)
    return [" ".join(turn) for turn in turns]


async def wound_up(chunks: Chunks, way: str) -> Chunks:
    """The answer to a goodbye: what the model calls, or `way` where it calls nothing.

    Nothing is said of an answer without a call: the next step of the flow says it.

    Args:
        chunks: What the model answers.
        way: The function that a goodbye takes.
    """
    held: list[ChatCompletionChunk] = []
    async with aclosing(chunks) as answer:
        try:
            async for chunk in answer:
                if not isinstance(chunk, Progress):
                    held.append(chunk)
                yield Progress()
        except CutShortError:
            pass
    called = any(_delta(chunk, "tool_calls") for chunk in held)
    for chunk in held:
        if called or not chunk.choices:
            yield chunk
    if not called:
        yield _call_of(way)


async def unechoed(chunks: Chunks, instructions: Sequence[str]) -> Chunks:
    """An answer, unless it begins by repeating the instructions.

    Text is held back only while it stands in them word for word.

    Args:
        chunks: What the model answers.
        instructions: What it was told.

    Raises:
        EchoError: It repeats them.
    """
    known = [_words(_DATA.sub(" ", each)) for each in instructions]
    held: list[ChatCompletionChunk] = []
    text = ""
    async with aclosing(chunks) as answer:
        async for chunk in answer:
            if isinstance(chunk, Progress) or not known:
                yield chunk
                continue
            held.append(chunk)
            text += _delta(chunk, "content") or ""
            said = _words(text)
            if not _delta(chunk, "tool_calls") and any(said in each for each in known):
                if len(said.split()) >= _ECHO_WORDS:
                    raise EchoError("the answer repeated the instructions")
                yield Progress()
                continue
            known.clear()
            for each in held:
                yield each
    if known:
        for each in held:
            yield each


def _delta(chunk: ChatCompletionChunk, name: str) -> Any:  # noqa: ANN401  # of the SDK's model
    return getattr(chunk.choices[0].delta, name) if chunk.choices else None


def _words(text: str) -> str:
    """The words of a text, each after a space. The last one may be only begun."""
    return "".join(f" {word}" for word in re.findall(r"[^\W_]+", text.casefold()))


def _call_of(function: str) -> ChatCompletionChunk:
    named = {"name": function, "arguments": json.dumps({})}
    call = {"index": 0, "id": f"call_{uuid.uuid4().hex}", "type": "function", "function": named}
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    made = {"id": "", "created": 0, "model": "", "object": "chat.completion.chunk"}
    return ChatCompletionChunk.model_validate({**made, "choices": [choice]})
