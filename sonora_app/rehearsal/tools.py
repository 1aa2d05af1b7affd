"""How the scripted interlocutor uses the tools of `flows/tools.yaml`.

It calls the tool whose name or description the person uses words of. The arguments are what the
words give; what they lack comes from the schema. It then reads out what came of it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, cast

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.calling_off import CANCEL, calling_off
from sonora_app.rehearsal.turns import CallTool, Kind, Say, Turn
from sonora_app.rehearsal.wording import words_of

_READ_OUT_CHARS = 240
_LETTERS = 3
"""How many letters a word has at least that says what a tool is for."""
_ENDING = 3
"""How many letters two forms of a word may differ by at their end: "table", "tables"."""

_CONFIRMED_BY = "confirmed_by"
"""The argument that quotes a question to the person: left out, so that the bot asks."""

_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_TIME = re.compile(r"\b\d{1,2}:\d\d\b")
_NUMBER = re.compile(r"(?<![\w.,:-])-?\d+(?:\.\d+)?(?![\w:-])")
_QUOTED = re.compile(r"[\"“«]([^\"”»]+)[\"”»]")
_NAMED = re.compile(r"(?<=[^.!?¿¡\s] )[A-ZÁÉÍÓÚÑ][^\W\d_]+(?: [A-ZÁÉÍÓÚÑ][^\W\d_]+)*")
"""Words with a capital within a sentence."""

_TOLD = frozenset({"done", "failed", "unknown"})


@dataclass(frozen=True)
class OfferedTool:
    """A tool that the interlocutor may call.

    Parameters:
        name: Its name.
        description: What it is for.
        properties: The JSON Schema of each argument.
        required: Which of them it needs.
    """

    name: str
    description: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    required: Sequence[str] = ()


def tool_move(
    turns: Sequence[Turn],
    message: int,
    text: str,
    offered: Sequence[OfferedTool],
    lines: Lines,
    reply: Callable[[], str],
) -> Say | CallTool | None:
    """What to do about tools; None where there is nothing to do.

    Args:
        turns: The conversation so far.
        message: Which of them the person said last.
        text: The words of it.
        offered: The tools.
        lines: In the language of the call.
        reply: What is said to the person's words where no tool is meant.
    """
    if any(tool.name == CANCEL for tool in offered):
        offered = [tool for tool in offered if tool.name != CANCEL]
        if not _asked_for(text, offered, lines) and (
            moved := calling_off(turns, message, text, lines)
        ):
            return moved
    acted = any(turn.kind is Kind.TOOL_CALL for turn in turns[message:])
    if not acted:
        if wanted := _agreed(turns[:message], text, lines):
            return wanted
        if tool := _asked_for(text, offered, lines):
            return CallTool(tool.name, arguments_from(text, tool, lines))
    told = results_told(turns, lines)
    if told is None or acted:
        return told
    return Say(f"{reply()} {told.text}")


def results_told(turns: Sequence[Turn], lines: Lines) -> Say | None:
    """What came of tools since the interlocutor spoke last; None where nothing did."""
    said: list[str] = []
    asked = ""
    for turn in reversed(turns):
        if turn.kind is Kind.ASSISTANT:
            break
        if turn.kind is Kind.RESULT and (told := _told(_object(turn.text), lines)):
            said.insert(0, told)
        if turn.kind is Kind.RESULT and _object(turn.text).get("status") == "to_be_confirmed":
            asked = asked or _question(turns, lines)
    if asked:
        said.append(asked)
    return Say(" ".join(said)) if said else None


def arguments_from(text: str, tool: OfferedTool, lines: Lines) -> dict[str, Any]:
    """The arguments of a tool, as far as the words give them or it needs them.

    Args:
        text: What the person said.
        tool: The tool.
        lines: In the language of the call.
    """
    words = _Words(text, tool, lines)
    given: dict[str, Any] = {}
    for name, schema in tool.properties.items():
        if name == _CONFIRMED_BY or not isinstance(schema, Mapping):
            continue
        described = cast("Mapping[str, Any]", schema)
        value = words.value(name, described)
        if value is None and name in tool.required:
            value = _made_up(described, words)
        if value is not None:
            given[name] = value
    return given


class _Words:
    """What a person said, of which each part becomes one argument at most."""

    def __init__(self, text: str, tool: OfferedTool, lines: Lines) -> None:
        self.text = text
        self._plain = words_of(text)
        self._small = _small_words(lines)
        self._dates, rest = _DATE.findall(text), _DATE.sub(" ", text)
        self._times, rest = _TIME.findall(rest), _TIME.sub(" ", rest)
        self._numbers = [float(number) for number in _NUMBER.findall(rest)]
        numerals = [words_of(each)[0] for each in lines.all("rehearsal.tool.numbers")]
        self._numbers += [float(numerals.index(w) + 1) for w in self._plain if w in numerals]
        self._names = [*_QUOTED.findall(rest), *_NAMED.findall(_QUOTED.sub(" ", rest))]
        choices = [each.get("enum") or () for each in tool.properties.values()]
        own = words_of(f"{tool.name} {tool.description} {choices}".replace("_", " "))
        self.rest = " ".join(
            word
            for word in self._plain
            if word.isalpha()
            and word not in {*self._small, *numerals}
            and not any(_same(word, each) for each in own)
        )

    def value(self, name: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON
        """What was said for an argument; None where nothing was."""
        for choice in cast(list[Any], schema.get("enum") or []):
            if set(words_of(str(choice))) <= set(self._plain):
                return choice
        if schema.get("enum"):
            return None
        match _type(schema):
            case "integer" | "number" as kind:
                return self._number(schema, whole=kind == "integer")
            case "string":
                return self._string(name, schema)
            case _:
                return None

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> float | None:
        least, most = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        for number in self._numbers:
            if least <= number <= most and (number.is_integer() or not whole):
                self._numbers.remove(number)
                return int(number) if number.is_integer() else number
        return None

    def _string(self, name: str, schema: Mapping[str, Any]) -> str | None:
        if _is_date(schema):
            return self._dates.pop(0) if self._dates else None
        if "HH:MM" in str(schema.get("description")) or schema.get("format") == "time":
            return self._times.pop(0) if self._times else None
        # "table 4", "code: X7".
        last = re.escape(name.rpartition("_")[2])
        found = re.search(rf"\b{last}\b\W+(\w+)", self.text, re.IGNORECASE)
        if found and not set(words_of(found[1])) <= self._small:
            return found[1]
        return self._names.pop(0) if self._names else None


def _asked_for(text: str, offered: Sequence[OfferedTool], lines: Lines) -> OfferedTool | None:
    """The tool that the words mean: all words of its name, or two of it and its description."""
    small = _small_words(lines)
    said = [word for word in words_of(text) if len(word) >= _LETTERS and word not in small]
    best, most = None, (False, 0)
    for tool in offered:
        name = [word for word in words_of(tool.name.replace("_", " ")) if len(word) >= _LETTERS]
        also = [word for word in words_of(tool.description) if len(word) >= _LETTERS]
        of_name = {word for word in name if any(_same(word, each) for each in said)}
        meant = {each for each in said if any(_same(word, each) for word in (*name, *also))}
        whole = bool(name) and of_name == set(name)
        score = whole, len(meant) + len(of_name)
        if (whole or (of_name and len(meant) > 1)) and score > most:
            best, most = tool, score
    return best


def _agreed(before: Sequence[Turn], text: str, lines: Lines) -> CallTool | None:
    """The call that the interlocutor has just asked whether to make, if the person says yes."""
    said = words_of(text)
    phrases = map(words_of, lines.all("rehearsal.memory.yes_words"))
    if not any(said[: len(phrase)] == phrase for phrase in phrases):
        return None
    for turn in reversed(before):
        if turn.kind is Kind.USER:
            return None
        if turn.kind is Kind.RESULT:
            waits = _object(turn.text).get("status") == "to_be_confirmed"
            return _last_call(before) if waits else None
    return None


def _question(turns: Sequence[Turn], lines: Lines) -> str:
    call = _last_call(turns)
    given = ", ".join(f"{name} {value}" for name, value in call.arguments.items()) if call else ""
    return lines.text(
        "rehearsal.tool.confirm", {"name": call.name if call else None, "arguments": given}
    )


def _last_call(turns: Sequence[Turn]) -> CallTool | None:
    for turn in reversed(turns):
        if turn.kind is Kind.TOOL_CALL:
            return CallTool(turn.text, _object(turn.arguments))
    return None


def _told(result: Mapping[str, Any], lines: Lines) -> str:
    """What is said of a result; empty where it is no tool's, or says that it comes later."""
    status = str(result.get("status"))
    if status == "refused" and isinstance(result.get("mistakes"), list):
        mistakes = "; ".join(map(str, cast(list[Any], result["mistakes"])))
        return lines.text("rehearsal.tool.refused", {"result": mistakes})
    if status not in _TOLD or "result" not in result:
        return ""
    text = " ".join(str(result["result"]).split())
    short = text if len(text) <= _READ_OUT_CHARS else f"{text[: _READ_OUT_CHARS - 1]}…"
    return lines.text(f"rehearsal.tool.{status}", {"result": short})


def _made_up(schema: Mapping[str, Any], words: _Words) -> Any:  # noqa: ANN401  # JSON
    """A value for an argument that nothing was said of."""
    for key in ("examples", "enum"):
        if values := cast(list[Any], schema.get(key) or []):
            return values[0]
    if "default" in schema:
        return schema["default"]
    match _type(schema):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {}
        case _:
            if _is_date(schema):
                return (date.today() + timedelta(days=1)).isoformat()
            return (words.rest or words.text)[: schema.get("maxLength")]


def _type(schema: Mapping[str, Any]) -> str:
    """The type of an argument; the first where it may have several."""
    kind: Any = schema.get("type", "string")
    kinds = cast(list[Any], kind) if isinstance(kind, list) else [kind]
    return str(kinds[0]) if kinds else "string"


def _is_date(schema: Mapping[str, Any]) -> bool:
    return schema.get("format") == "date" or "YYYY-MM-DD" in str(schema.get("description"))


def _small_words(lines: Lines) -> set[str]:
    """The words that say nothing of what is meant."""
    return {word for each in lines.all("rehearsal.small_words") for word in words_of(each)}


def _same(one: str, other: str) -> bool:
    """Whether two words are one, but for a few letters at its end."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and len(long) - len(short) <= _ENDING and len(short) >= _LETTERS


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
