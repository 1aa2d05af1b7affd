"""Pieces of answers as models send them that are not OpenAI's own, and as nobody should.

A piece is a chunk as JSON, to be streamed by `Reply.chunks`.
"""

import json
import random
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def chunk(delta: Any = None, *, finish: Any = None, **more: Any) -> Json:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-odd",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-odd",
        "choices": [choice],
        **more,
    }


def words(text: Any, **more: Any) -> Json:
    """Some of the answer's text."""
    return chunk({"content": text}, **more)


def call(name: Any = None, arguments: Any = None, **more: Any) -> Json:
    """A piece of a call; `more` is its id, its index, and what else it has."""
    function = {"name": name, "arguments": arguments}
    given = {key: value for key, value in function.items() if value is not None}
    return chunk({"tool_calls": [{"type": "function", "function": given, **more}]})


def ending(why: Any = "stop") -> Json:
    """The end of an answer."""
    return chunk({}, finish=why)


NOISE: dict[str, Json] = {
    "null delta": chunk(None),
    "no delta": {**chunk(), "choices": [{"index": 0}]},
    "no choices": {**chunk(), "choices": []},
    "null choices": {**chunk(), "choices": None},
    "choices that are no list": {**chunk(), "choices": "none"},
    "a null choice": {**chunk(), "choices": [None]},
    "null content": words(None, model=None, id=None, created=None),
    "content that is a number": words(7),
    "empty content": words(""),
    "whitespace": words(" \n"),
    "null tool_calls": chunk({"content": None, "tool_calls": None}),
    "empty tool_calls": chunk({"tool_calls": []}),
    "a null call": chunk({"tool_calls": [None]}),
    "tool_calls that are no list": chunk({"tool_calls": "wrap_up"}),
    "a call without a function": chunk({"tool_calls": [{"index": 0}]}),
    "a delta that is a text": chunk("hola"),
    "half a surrogate": words("\ud83d"),
    "a thought": words("<think>secreto</think>"),
    "usage": {**chunk({}), "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    "null usage": {**chunk({}), "usage": None},
    "usage without numbers": {**chunk({}), "usage": {"prompt_tokens": None, "total_tokens": "9"}},
    "usage with odd details": {
        **chunk({}),
        "choices": None,
        "usage": {
            "prompt_tokens": 3.0,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": None},
            "completion_tokens_details": "none",
        },
    },
    "usage that is a list": {**chunk({}), "usage": []},
    "nothing": {},
}
"""Chunks that say and call nothing."""

SPEECH = ("Hola, ", "Ana. ", "<think>", "</think>", "<thi", "**", "\ud83d", "1")
"""Pieces of text, of which some are only parts of something."""

_ARGUMENTS = json.dumps({"title": "Un viaje", "topics": ["a"]})
_ENDINGS = ("stop", "length", "content_filter", "tool_calls", None, 7)


def any_answer(numbers: random.Random, functions: Sequence[str]) -> list[Json]:
    """An answer made at random of such pieces: any of them, in any order, with any end.

    Args:
        numbers: The same state gives the same answer.
        functions: The functions that it may call, among others that do not exist.
    """
    pieces = [_any_piece(numbers, functions) for _ in range(numbers.randint(0, 8))]
    return [*pieces, ending(numbers.choice(_ENDINGS))]


def _any_piece(numbers: random.Random, functions: Sequence[str]) -> Json:
    match numbers.randrange(3):
        case 0:
            return numbers.choice([*NOISE.values()])
        case 1:
            return words(numbers.choice(SPEECH))
        case _:
            name = numbers.choice([*functions, "nobody_has_this", "", None, 7])
            more = {
                key: numbers.choice(["a", "b", 0, 1, None, "", -1, 2.5])
                for key in ("id", "index")
                if numbers.randrange(2)
            }
            return call(name, _any_arguments(numbers), **more)


def _any_arguments(numbers: random.Random) -> Any:
    cut = numbers.randrange(len(_ARGUMENTS))
    whole_or_not = [_ARGUMENTS, _ARGUMENTS[:cut], _ARGUMENTS[cut:], "{}", "", "null", "[]", None, 7]
    return numbers.choice(whole_or_not) if numbers.randrange(2) else _any_json(numbers, depth=2)


def _any_json(numbers: random.Random, *, depth: int) -> Any:
    plain = [None, True, False, 0.5, -3, "", "a", "\ud83d", "ñandú"]
    match numbers.randrange(4) if depth else 0:
        case 1:
            return [_any_json(numbers, depth=depth - 1) for _ in range(numbers.randint(0, 2))]
        case 2:
            keys = numbers.sample(["title", "topics", "outcome", "a", ""], numbers.randint(0, 3))
            return {key: _any_json(numbers, depth=depth - 1) for key in keys}
        case _:
            return numbers.choice(plain)
