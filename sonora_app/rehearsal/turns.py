"""A conversation as the scripted interlocutor sees it, and what it may do next."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, cast

from pipecat.processors.aggregators import async_tool_messages
from pipecat.processors.aggregators.llm_context import LLMContextMessage, LLMSpecificMessage
from pipecat.turns.empty_user_turn import DEFAULT_EMPTY_USER_TURN_INTERRUPTED_PROMPT

_LATE_RESULT = re.compile(r'^<quoted>(\{"status": [^<>]*)</quoted>$', re.MULTILINE)
"""What came late of a tool, as `call/tools/calls.py` quotes it."""

_EARLIER_RESULT = re.compile(r"^(done|failed|unknown) <quoted>([^<>]*)</quoted>$", re.MULTILINE)
"""What came of a tool of an earlier call, as `call/tools/earlier.py` quotes it."""

PASSAGE = re.compile(r'<passage source="([^"]*)">\n(.*?)\n</passage>', re.DOTALL)
"""A passage of a document, as `call/context/grounding.py` quotes it."""


@dataclass(frozen=True)
class Say:
    """Say something."""

    text: str


@dataclass(frozen=True)
class CallTool:
    """Call a tool, and say nothing."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


class Kind(Enum):
    """What a message of the context is to the interlocutor."""

    USER = auto()
    ASSISTANT = auto()
    TOOL_CALL = auto()
    RESULT = auto()
    TASK = auto()
    PASSAGES = auto()
    EMPTY_TURN = auto()


@dataclass(frozen=True)
class Turn:
    """A message of the context. For a tool call, `text` is the tool's name; for a result, JSON.

    `pictures` are data URLs; `arguments` are those of a tool call, as JSON.
    """

    kind: Kind
    text: str
    pictures: tuple[str, ...] = ()
    arguments: str = ""


def read_turns(messages: Iterable[LLMContextMessage]) -> list[Turn]:
    """The messages of a context that matter here, in order."""
    turns = list[Turn]()
    for message in messages:
        if isinstance(message, LLMSpecificMessage):
            continue
        # The client's message types are a union by role; as data they are all the same.
        raw: dict[str, Any] = dict(message)
        text = _text(raw.get("content"))
        match raw.get("role"):
            case "user":
                turns.append(Turn(Kind.USER, text, _pictures(raw.get("content"))))
            case "assistant":
                if text:
                    turns.append(Turn(Kind.ASSISTANT, text))
                for call in raw.get("tool_calls") or ():
                    function = call["function"]
                    given = str(function.get("arguments") or "")
                    turns.append(Turn(Kind.TOOL_CALL, function["name"], arguments=given))
            case "developer" | "system":
                # The results of tools come in this role too, when they come late.
                if PASSAGE.search(text):
                    turns.append(Turn(Kind.PASSAGES, text))
                elif text == DEFAULT_EMPTY_USER_TURN_INTERRUPTED_PROMPT:
                    turns.append(Turn(Kind.EMPTY_TURN, text))
                elif late := _late_result(text):
                    turns.append(Turn(Kind.RESULT, late))
                elif (payload := async_tool_messages.parse_message(message)) is None:
                    turns.append(Turn(Kind.TASK, text))
                elif payload.result is not None:
                    turns.append(Turn(Kind.RESULT, payload.result))
            case "tool":
                turns.append(Turn(Kind.RESULT, text))
            case _:
                pass
    return turns


def _late_result(text: str) -> str | None:
    """What came of a tool after its call was over, as JSON; None where the text tells of none."""
    if found := _LATE_RESULT.search(text):
        return found[1]
    if found := _EARLIER_RESULT.search(text):
        return json.dumps({"status": found[1], "result": found[2]}, ensure_ascii=False)
    return None


def _pictures(content: object) -> tuple[str, ...]:
    parts = cast(list[dict[str, Any]], content) if isinstance(content, list) else []
    return tuple(part["image_url"]["url"] for part in parts if "image_url" in part)


def _text(content: object) -> str:
    """The words of a message's content, which may be in parts with images between them."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, list):
        return ""
    parts = cast(list[dict[str, Any]], content)
    return " ".join(str(part["text"]) for part in parts if part.get("text")).strip()
