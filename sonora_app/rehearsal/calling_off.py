"""How the scripted interlocutor calls a tool off that the person no longer wants to wait for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.turns import CallTool, Kind, Say, Turn
from sonora_app.rehearsal.wording import words_of

CANCEL = "cancel_tool"
"""Calls a tool off, and is none."""

_SAID = {"called_off": "called_off", "unknown": "sent", "nothing_is_running": "nothing_runs"}
"""What is said of what came of it, by status: keys of lines."""


def calling_off(
    turns: Sequence[Turn], message: int, text: str, lines: Lines
) -> Say | CallTool | None:
    """Call off what runs, where the person's words ask for that, and say what came of it.

    Args:
        turns: The conversation so far.
        message: Which of them the person said last.
        text: The words of it.
        lines: In the language of the call.

    Returns:
        What to do; None where there is nothing to call off, or nobody asks for it.
    """
    since = turns[message:]
    if any(turn.kind is Kind.TOOL_CALL and turn.text == CANCEL for turn in since):
        # What was called off may come to its end all the same, which is told otherwise.
        status = next((str(each.get("status")) for each in _results(since)), "")
        key = _SAID.get(status) if turns[-1].kind is Kind.RESULT else None
        return Say(lines.text(f"rehearsal.tool.{key}")) if key else None
    said = words_of(text)
    phrases = map(words_of, lines.all("rehearsal.tool.call_off_words"))
    if _runs(turns[:message]) and any(said[: len(phrase)] == phrase for phrase in phrases):
        return CallTool(CANCEL)
    return None


def _runs(turns: Sequence[Turn]) -> bool:
    """Whether some tool was begun of which nothing has come yet."""
    last = ""
    for result in _results(turns):
        last = str(result.get("status"))
    return last == "running"


def _results(turns: Sequence[Turn]) -> Iterator[Mapping[str, Any]]:
    for turn in turns:
        if turn.kind is Kind.RESULT:
            try:
                found: Any = json.loads(turn.text)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield cast(dict[str, Any], found)
