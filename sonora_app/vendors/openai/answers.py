"""Converts any model's stream into what Pipecat expects: text to speak, then whole tool calls.

OpenAI's client checks nothing of a chunk, and Pipecat relies on what OpenAI itself sends. Other
models omit fields, or send null or another type. They put several tool calls into one chunk, and
number them differently or not at all. They send their thoughts and their calls as text, and stop in
the middle of arguments.

Text is passed on as it comes, without thoughts. Tool calls are collected and passed on at the end,
one per chunk, each with its own id. A call is dropped if its function is not offered or its
arguments are not a JSON object.
"""

import json
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from openai.types.chat import ChatCompletionChunk

from sonora_app.vendors.openai.written_calls import WrittenCalls

Json: TypeAlias = dict[str, Any]

MAX_CHARS = 40_000
"""How long an answer, or the arguments of its calls, may be: a quarter of an hour of speech."""

_CUT_SHORT = ("length", "content_filter")
"""Why an answer ends that the model has not ended itself."""

_ENDS_SENTENCE = re.compile(r"[.!?…。！？][\s\"'»”’)\]*_]*$")


@dataclass(frozen=True)
class Progress:
    """Something of a call has come, which goes on only once it is whole."""


class CutShortError(Exception):
    """The model's answer was cut short in the middle of a sentence."""


@dataclass
class _Call:
    id: str | None = None
    index: int | None = None
    name: str = ""
    arguments: str = ""


@dataclass
class _Calls:
    """The calls of an answer, put together from their pieces."""

    calls: list[_Call] = field(default_factory=list[_Call])

    def add(self, piece: Any) -> None:  # noqa: ANN401  # whatever a model sends
        function = _get(piece, "function")
        name, arguments = _get(function, "name"), _get(function, "arguments")
        name = name.strip() if isinstance(name, str) else ""
        call = self._of(_get(piece, "id"), _get(piece, "index"), name)
        call.name = call.name or name
        if isinstance(arguments, str):
            call.arguments += arguments
        elif arguments is not None:
            call.arguments += json.dumps(arguments)

    def _of(self, identifier: Any, index: Any, name: str) -> _Call:  # noqa: ANN401
        """The call that a piece belongs to: by its id, by its number, or the last one."""
        identifier = identifier if isinstance(identifier, str) and identifier else None
        index = index if isinstance(index, int) else None
        for call in reversed(self.calls):
            if identifier is not None and call.id is not None:
                same = call.id == identifier
            elif index is not None and call.index is not None:
                same = call.index == index
            else:
                same = call is self.calls[-1]
            # One that is named again is another, unless the name is only repeated.
            if same and not (name and call.name and (name != call.name or _object(call.arguments))):
                call.id = call.id or identifier
                return call
        self.calls.append(_Call(id=identifier, index=index))
        return self.calls[-1]

    def whole(self, offered: Collection[str]) -> list[_Call]:
        """Those that can be done: of functions that are offered, with an object for arguments."""
        done: list[_Call] = []
        for call in self.calls:
            arguments = _object(call.arguments or "{}")
            if call.name not in offered or arguments is None:
                continue
            taken = {other.id for other in done}
            fresh = call.id is None or call.id in taken
            identifier = f"call_{uuid.uuid4().hex}" if fresh else call.id
            text = json.dumps(arguments, ensure_ascii=False)
            done.append(_Call(identifier, len(done), call.name, text))
        return done

    @property
    def size(self) -> int:
        return sum(len(call.arguments) for call in self.calls)


class Spoken:
    """What of a stream of text is meant to be said: no thoughts, and whole characters."""

    _OPEN, _CLOSE = re.compile(r"<think(?:ing)?>", re.I), re.compile(r"</think(?:ing)?>", re.I)
    _TAGS = ("<think>", "<thinking>", "</think>", "</thinking>")

    def __init__(self) -> None:
        """Begin an answer."""
        self._rest = ""
        self._thinking = False

    def add(self, text: str) -> str:
        """Take in more, and give what can be said of it by now."""
        self._rest += text
        said = ""
        while self._rest:
            tag = (self._CLOSE if self._thinking else self._OPEN).search(self._rest)
            if tag is None:
                break
            said += "" if self._thinking else self._rest[: tag.start()]
            self._rest = self._rest[tag.end() :]
            self._thinking = not self._thinking
        kept = _pending(self._rest, self._TAGS)
        end = len(self._rest) - kept
        said += "" if self._thinking else self._rest[:end]
        self._rest = self._rest[end:]
        return whole_characters(self._CLOSE.sub("", said))

    def end(self) -> str:
        """What is left at the end of the answer."""
        rest, self._rest = self._rest, ""
        return "" if self._thinking else whole_characters(rest)


def whole_characters(text: str) -> str:
    """`text` without halves of characters, and without what no database takes."""
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    return "".join(char for char in paired if char >= " " or char in "\n\t")


def is_speakable(text: str) -> bool:
    """Whether there is anything to say in `text`: a letter or a digit."""
    return any(char.isalnum() for char in text)


async def mended(
    chunks: AsyncIterator[ChatCompletionChunk], offered: Collection[str]
) -> AsyncGenerator[ChatCompletionChunk | Progress]:
    """What a model streams, as Pipecat can use it.

    Args:
        chunks: What comes of OpenAI's client.
        offered: The functions that the model may call.

    Raises:
        CutShortError: The answer was cut off in mid-sentence, or in the middle of a call, as it
            says or by having no end.
    """
    spoken, calls, written_calls = Spoken(), _Calls(), WrittenCalls(offered)
    said, why, ended, chars = "", "", False, 0
    envelope: Json = {"id": "", "created": 0, "model": "", "object": "chat.completion.chunk"}
    async for chunk in chunks:
        model = _get(chunk, "model")
        envelope["model"] = model if isinstance(model, str) else envelope["model"]
        if usage := usage_of(_get(chunk, "usage")):
            yield _chunk(envelope, usage=usage)
        choice = _first(_get(chunk, "choices"))
        reason = _get(choice, "finish_reason")
        why = reason if isinstance(reason, str) else why
        ended = ended or reason is not None
        delta = _get(choice, "delta")
        pieces = _pieces(delta)
        for piece in pieces:
            calls.add(piece)
        written = _text(delta)
        chars += len(written)
        text = written_calls.add(spoken.add(written))
        said += text
        if text:
            yield _chunk(envelope, delta={"content": text})
        if pieces or written_calls.holding:
            yield Progress()
        if written_calls.over:
            break
        if chars + calls.size > MAX_CHARS:
            why = "length"
            break
    rest, read = written_calls.end(spoken.end())
    if rest:
        said += rest
        yield _chunk(envelope, delta={"content": rest})
    calls.calls += [_Call(name=name, arguments=arguments) for name, arguments in read]
    whole = calls.whole(offered)
    for number, call in enumerate(whole):
        function = {"name": call.name, "arguments": call.arguments}
        named = {"index": number, "id": call.id, "type": "function", "function": function}
        yield _chunk(envelope, delta={"tool_calls": [named]})
    cut_short = why in _CUT_SHORT or not ended
    if cut_short and not whole and (calls.calls or not _ENDS_SENTENCE.search(said)):
        raise CutShortError(f"the answer was cut short ({why or 'it has no end'})")


def _get(thing: Any, name: str) -> Any:  # noqa: ANN401  # whatever a model sends
    if isinstance(thing, dict):
        return cast(Json, thing).get(name)
    return getattr(thing, name, None)


def _first(things: Any) -> Any:  # noqa: ANN401
    return cast(list[Any], things)[0] if isinstance(things, list) and things else None


def _text(delta: Any) -> str:  # noqa: ANN401
    """What a piece says: its content, which may come in parts, or that it says nothing."""
    content = _get(delta, "content") or _get(delta, "refusal")
    if isinstance(content, list):
        parts = [_get(part, "text") for part in cast(list[Any], content)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _pieces(delta: Any) -> list[Any]:  # noqa: ANN401
    """The pieces of calls in a delta; the older form has one call, without a list."""
    pieces = _get(delta, "tool_calls")
    pieces = cast(list[Any], pieces) if isinstance(pieces, list) else [pieces]
    if (older := _get(delta, "function_call")) is not None:
        pieces = [*pieces, {"function": older}]
    return [piece for piece in pieces if _get(piece, "function") is not None]


def usage_of(usage: Any) -> Json | None:  # noqa: ANN401
    """Tokens, if they are counted in a form that is known."""
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if not prompt and not completion:
        return None
    cached = _count(_get(usage, "prompt_tokens_details"), "cached_tokens")
    reasoned = _count(_get(usage, "completion_tokens_details"), "reasoning_tokens")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoned},
    }


def _count(usage: Any, name: str) -> int:  # noqa: ANN401
    value = _get(usage, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < 1e9 else 0


def _chunk(envelope: Json, *, delta: Json | None = None, usage: Json | None = None) -> Any:  # noqa: ANN401
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": None}]
    return ChatCompletionChunk.model_validate({**envelope, "choices": choices, "usage": usage})


def _object(arguments: str) -> Json | None:
    """The JSON object that arguments are, or None. Some models write it as text in JSON."""
    try:
        value: Any = json.loads(whole_characters(arguments), parse_constant=lambda _: None)
        if isinstance(value, str):
            value = json.loads(value, parse_constant=lambda _: None)
        value = _whole(value)
    except (ValueError, RecursionError):
        return None
    return cast(Json, value) if isinstance(value, dict) else None


def _whole(value: Any) -> Any:  # noqa: ANN401
    """A value of JSON, with whole characters."""
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, list):
        return [_whole(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {whole_characters(name): _whole(item) for name, item in cast(Json, value).items()}
    return value


def _pending(text: str, tags: Collection[str]) -> int:
    """How much of the end of `text` may be the beginning of a tag, or of a character."""
    for length in range(min(len(text), max(map(len, tags)) - 1), 0, -1):
        if any(tag.startswith(text[-length:].lower()) for tag in tags):
            return length
    return 1 if text and "\ud800" <= text[-1] <= "\udbff" else 0
