"""Reads calls of functions that a model wrote as text, which would otherwise be read aloud.

Weak models, and servers that do not know a model's own way of writing calls, send them as words:
`<tool_call>{"name": …}</tool_call>`, a JSON object, a block of code, or `wrap_up(title="…")`.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, cast

_TAGS = ("<tool_call>", "<function_call>", "<function=", "<|tool_call|>", "<|python_tag|>")
"""What begins a call anywhere in an answer."""

_ENDS = (
    "<|im_end|>",
    "<|im_start|>",
    "<|eot_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<start_of_turn>",
    "</s>",
)
"""What ends an answer where a server does not know how its model ends one. A model goes on from
there by making up what others say."""

_OPENINGS = (*_TAGS, "{", "[{", "[TOOL_CALLS]", "```")
"""What an answer begins with that is a call as a whole, or no words at all."""

_WRAPPING = re.compile(r"```\w*|print(?=\()|</?(?:tool|function)_call>|<\|\w+\|>")
_NAMED = ("name", "function", "tool", "tool_name", "function_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_PYTHON = re.compile(r"(\w+)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\[[^\]]*\]|[^,\s()]+)")


class WrittenCalls:
    """What of a stream of text is to be said, and which calls are written in it.

    Args:
        offered: The functions that the model may call.

    Attributes:
        is_call: Whether what comes now is no speech.
        over: Whether the model has ended its answer, by a mark that its server does not know.
    """

    def __init__(self, offered: Collection[str]) -> None:
        """Begin an answer."""
        self._offered = offered
        self._openings = (*_OPENINGS, *(f"{name}(" for name in offered))
        self._said = False
        self._held: str = ""
        self.is_call = False
        self.over = False

    @property
    def holding(self) -> bool:
        """Whether some text is held back that may be a call."""
        return bool(self._held.strip())

    def add(self, text: str) -> str:
        """Take in more, and give what can be said of it by now."""
        if self.over:
            return ""
        self._held += text
        if ends := [at for tag in _ENDS if (at := self._held.find(tag)) >= 0]:
            self.over = True
            self._held = self._held[: min(ends)]
        if self.is_call or not self._held:
            return ""
        if not self._said:
            start = self._held.lstrip()
            self.is_call = start.startswith(self._openings)
            if self.is_call or any(each.startswith(start) for each in self._words()):
                return ""
        end = self._first_tag()
        said, self._held = self._held[:end], self._held[end:]
        self._said = self._said or bool(said.strip())
        return said

    def end(self, text: str) -> tuple[str, list[tuple[str, str]]]:
        """What is left to say at the end of the answer, and the calls: names and arguments.

        Args:
            text: The last of it.
        """
        said, held, self._held = self.add(text), self._held, ""
        calls = [*_calls_in(held, self._offered)]
        if calls or (self.is_call and _is_no_speech(held)):
            return said, calls
        return said + held, []

    def _words(self) -> Iterator[str]:
        yield from self._openings
        # One that is no word of any language may stand alone.
        for name in self._offered:
            if "_" in name:
                yield name
                yield f"`{name}`"

    def _first_tag(self) -> int:
        """Where a call begins in what is held, or may begin at its end."""
        found = [at for tag in _TAGS if (at := self._held.find(tag)) >= 0]
        if found:
            self.is_call = True
            return min(found)
        last = self._held.rfind("<")
        if last >= 0 and any(tag.startswith(self._held[last:]) for tag in (*_TAGS, *_ENDS)):
            return last
        return len(self._held)


def _calls_in(text: str, offered: Collection[str]) -> Iterator[tuple[str, str]]:
    bare = _WRAPPING.sub(" ", text).strip().strip("`").strip()
    if bare in offered and "_" in bare:
        yield bare, "{}"
        return
    for match in re.finditer(r"<function=(\w+)>", text):
        if match[1] in offered:
            given = next(_objects(text[match.end() :]), cast(dict[str, Any], {}))
            yield match[1], json.dumps(given, ensure_ascii=False)
            return
    for found in _objects(bare):
        named = next((found[key] for key in _NAMED if key in found), None)
        inner = cast(dict[str, Any], named) if isinstance(named, dict) else found
        name = inner.get("name") if isinstance(named, dict) else named
        if isinstance(name, str) and name in offered:
            given: Any = next((inner[key] for key in _ARGUMENTS if key in inner), None) or {}
            yield name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    called = re.match(r"\W*(\w+)\s*\((.*)", bare, re.DOTALL)
    if called and called[1] in offered:
        yield called[1], json.dumps(_keywords(called[2]), ensure_ascii=False)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in `text`, one after the other, outermost alone."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict):
            yield cast(dict[str, Any], value)


def _keywords(text: str) -> dict[str, Any]:
    """The arguments of a call as Python writes it; what cannot be read is left out."""
    if found := next(_objects(text), None):
        return found
    given: dict[str, Any] = {}
    for name, value in _PYTHON.findall(text):
        try:
            given[name] = json.loads(value.replace("'", '"'))
        except ValueError:
            given[name] = value.strip("\"'")
    return given


def _is_no_speech(text: str) -> bool:
    """Whether there is nothing to say in what looks like a call: JSON, a tag, or code."""
    start = text.lstrip()
    if start.startswith(_TAGS) or start.startswith("[TOOL_CALLS]"):
        return True
    if start.startswith(("{", "[{")):
        return True
    return re.fullmatch(r"\s*```.*```\s*", text, re.DOTALL) is not None
