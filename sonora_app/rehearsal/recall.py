"""What the scripted interlocutor remembers: a name, what it is asked to, and what one talked of."""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.heard import read_heard
from sonora_app.rehearsal.turns import CallTool, Kind, Say, Turn
from sonora_app.rehearsal.wording import consists_of, rest_after, topics_of

_FACTS = re.compile(r"<facts>\n(.*?)\n *</facts>", re.DOTALL)
_FACT = re.compile(r"^ *(\d+)\. <quoted>(.+)</quoted>$", re.MULTILINE)
_NUMBERED = re.compile(r"^\[(\d+)\] ")
_NAME_WORDS = 2
MEMORY_TOOLS = frozenset({"remember", "forget", "allow_memory"})
"""The functions of the flow that remember and forget."""

_ABOUT_MEMORY = ("forget_words", "recall_words", "remember_words", "off_words", "on_words")


def memory_move(
    turns: Sequence[Turn], message: int, text: str, lines: Lines
) -> Say | CallTool | None:
    """What to do about remembering and forgetting; None where nothing is said about it.

    Args:
        turns: The conversation so far.
        message: Which of them the person said last.
        text: The words of it.
        lines: In the language of the call.
    """
    said = _after_result(turns[message:], text, lines)
    if said is not None:
        return said
    before = next((t.text for t in reversed(turns[:message]) if t.kind is Kind.ASSISTANT), "")
    if before == lines.text("rehearsal.memory.ask"):
        return CallTool("allow_memory", {"allowed": _has(text, "yes_words", lines)})
    if _is_which(before, lines):
        numbers = [n for n, _ in _facts(turns)] if _has(text, "all_words", lines) else []
        return CallTool("forget", {"about": text, "numbers": numbers})
    for allowed, key in ((False, "off_words"), (True, "on_words")):
        if _has(text, key, lines):
            return CallTool("allow_memory", {"allowed": allowed})
    if (about := rest_after(text, "rehearsal.memory.forget_words", lines)) is not None:
        everything = _is_everything(about, lines)
        return CallTool("forget", {"about": about, "numbers": [], "everything": everything})
    if _has(text, "recall_words", lines):
        told = " ".join(fact for _, fact in _facts(turns))
        key = "told" if told else "nothing"
        return Say(lines.text(f"rehearsal.memory.{key}", {"facts": told}))
    if name := _name(text, lines):
        fact = lines.text("rehearsal.memory.name_fact", {"name": name})
        return CallTool("remember", {"fact": fact, "name": name})
    if fact := rest_after(text, "rehearsal.memory.remember_words", lines):
        return CallTool("remember", {"fact": f"{fact[0].upper()}{fact[1:]}."})
    return None


def is_about_memory(text: str, lines: Lines) -> bool:
    """Whether the person talks of what is remembered of them: it is no topic of the talk.

    Nor must what sums up the talk tell what they want forgotten.
    """
    return any(_has(text, key, lines) for key in _ABOUT_MEMORY) or _name(text, lines) is not None


def review(turns: Sequence[Turn], lines: Lines) -> dict[str, Any]:
    """What the call told of the person, as the request after it wants it: what it was about."""
    for turn in reversed(turns):
        number = _NUMBERED.match(turn.text)
        if turn.kind is not Kind.USER or number is None:
            continue
        text = read_heard(_NUMBERED.sub("", turn.text)).text
        topics = topics_of([text], lines)
        if topics and not is_about_memory(text, lines):
            fact = lines.text("rehearsal.memory.talked_fact", {"topic": topics[0]})
            new = {"fact": fact, "said_in": int(number[1]), "until": "", "replaces": 0, "name": ""}
            return {"facts": [new], "ended": []}
    return {"facts": [], "ended": []}


def without_numbers(turns: Sequence[Turn]) -> list[Turn]:
    """The turns without the numbers that the request after a call puts before them."""
    return [Turn(turn.kind, _NUMBERED.sub("", turn.text)) for turn in turns]


def _after_result(since: Sequence[Turn], text: str, lines: Lines) -> Say | None:
    """What to say once a tool that remembers or forgets has answered."""
    tool = next((t.text for t in reversed(since) if t.kind is Kind.TOOL_CALL), "")
    result = read_object(next((t.text for t in reversed(since) if t.kind is Kind.RESULT), ""))
    status = result.get("status")
    facts = ""
    if tool == "remember":
        key = "ask" if status == "ask_first" else "kept_name" if _name(text, lines) else "kept"
        key = key if status in ("ask_first", "kept", "known_already") else "not_allowed"
    elif tool == "allow_memory":
        key = "allowed" if status == "may_remember" else "not_allowed"
    elif tool == "forget":
        key = {"which": "which", "forgotten": "forgotten"}.get(str(status), "not_found")
        found = cast(list[Any], result.get("found") or result.get("facts") or [])
        facts = " ".join(str(each["fact"] if status == "which" else each) for each in found)
    else:
        return None
    return Say(lines.text(f"rehearsal.memory.{key}", {"name": _name(text, lines), "facts": facts}))


def _facts(turns: Sequence[Turn]) -> list[tuple[int, str]]:
    """The facts in the prompt, with their numbers."""
    blocks = [found[1] for t in turns if t.kind is Kind.TASK for found in _FACTS.finditer(t.text)]
    return [(int(n), fact) for block in blocks for n, fact in _FACT.findall(block)]


def _name(text: str, lines: Lines) -> str | None:
    rest = rest_after(text, "rehearsal.memory.name_words", lines)
    words = re.split(r"[,.;:!?¿¡\s]+", rest or "")[:_NAME_WORDS]
    named = " ".join(word for word in words if word[:1].isupper())
    return named or words[0].capitalize() or None


def _has(text: str, key: str, lines: Lines) -> bool:
    return rest_after(text, f"rehearsal.memory.{key}", lines) is not None


def _is_everything(about: str, lines: Lines) -> bool:
    """Whether somebody who says this has all in mind that is remembered of them."""
    wide = ("rehearsal.memory.all_words", "rehearsal.memory.self_words")
    named = any(rest_after(about, key, lines) is not None for key in wide)
    return named and consists_of(about, (*wide, "rehearsal.small_words"), lines)


def _is_which(said: str, lines: Lines) -> bool:
    before, _, after = lines.all("rehearsal.memory.which")[0].partition("{facts}")
    return said.startswith(before) and said.endswith(after)


def read_object(text: str) -> dict[str, Any]:
    """The JSON object in a text; empty where there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
