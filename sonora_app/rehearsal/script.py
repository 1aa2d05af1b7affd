"""Decides what the model's stand-in does next, from the conversation alone.

The script follows the flow as a good model would. It knows the present node by the tools that it is
offered.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.heard import read_heard, write_secs
from sonora_app.rehearsal.recall import MEMORY_TOOLS, is_about_memory, memory_move
from sonora_app.rehearsal.recording import (
    ALLOW,
    is_about_recording,
    recording_move,
    with_question,
)
from sonora_app.rehearsal.shown import shown_in, spoken_of
from sonora_app.rehearsal.tools import OfferedTool, results_told, tool_move
from sonora_app.rehearsal.turns import PASSAGE, CallTool, Kind, Say, Turn
from sonora_app.rehearsal.wording import echo_of, means_done, means_finishing, topics_of

_SENTENCE = re.compile(r".+?(?:[.!?…](?=\s)\s*|$)", re.DOTALL)
_READ_OUT_CHARS = 240
"""How much of a passage is read out: its first sentence, and more up to this."""


def next_move(
    turns: Sequence[Turn],
    tools: Collection[str],
    lines: Lines,
    declared: Sequence[OfferedTool] = (),
) -> Say | CallTool:
    """What to do now.

    Args:
        turns: The conversation so far. See `read_turns`.
        tools: The names of the functions of the flow on offer.
        lines: The fixed lines, in the language of the call.
        declared: The tools on offer besides.
    """
    if turns and turns[-1].kind is Kind.EMPTY_TURN:
        return Say(lines.text("rehearsal.repeat"))
    if {"resume_conversation", "say_goodbye"} <= set(tools):
        came = turns[-1].kind is Kind.RESULT and results_told(turns, lines)
        return came or _winding_up(turns, lines)
    message = _last(turns, Kind.USER)
    if message < 0:
        return Say(lines.text("rehearsal.repeat"))
    if seen := shown_in(turns, message, lines):
        return Say(seen)
    text = read_heard(turns[message].text).text
    if (
        "wrap_up" in tools
        and means_finishing(text, lines)
        and not _called_since(turns, message, {"wrap_up"})
    ):
        return CallTool("wrap_up", describe(turns, lines, outcome="informational"))
    if ALLOW in tools and (recording := recording_move(turns, message, text, lines)):
        return recording
    if "remember" in tools and (remembering := memory_move(turns, message, text, lines)):
        return remembering
    if done := tool_move(
        turns, message, text, declared, lines, lambda: _reply(turns, message, lines)
    ):
        return done
    return Say(with_question(turns, _reply(turns, message, lines), lines))


def describe(turns: Iterable[Turn], lines: Lines, *, outcome: str) -> dict[str, Any]:
    """What the conversation was about, as the tool `wrap_up` and the summary request want it.

    Args:
        turns: The conversation.
        lines: The fixed lines, in the language to describe it in.
        outcome: What came of it.
    """
    turns = tuple(turns)
    topics, secs = _said(turns, lines)
    kind = _described_by(turns, topics, secs)
    return {
        "title": lines.text(
            f"rehearsal.{kind.format('title')}", {"topic": topics[-1] if topics else None}
        ),
        "summary": lines.text(f"rehearsal.{kind.format('summary')}", _facts(topics, secs, lines)),
        "topics": topics[::-1],
        "outcome": outcome,
    }


def _winding_up(turns: Sequence[Turn], lines: Lines) -> Say | CallTool:
    answer = _last(turns, Kind.USER)
    if answer < _last(turns, Kind.TASK) or answer < 0:
        return Say(_sum_up(turns, lines))
    if _called_since(turns, answer, {"resume_conversation", "say_goodbye"}):
        return Say(_reply(turns, answer, lines))
    if means_done(read_heard(turns[answer].text).text, lines):
        return CallTool("say_goodbye")
    return CallTool("resume_conversation")


def _sum_up(turns: Sequence[Turn], lines: Lines) -> str:
    topics, secs = _said(turns, lines)
    kind = _described_by(turns, topics, secs)
    return lines.text(f"rehearsal.{kind.format('wrap_up')}", _facts(topics, secs, lines))


def _read_out(turns: Sequence[Turn], message: int, lines: Lines) -> str | None:
    """The first passage that came with the person's message: its source and first sentences."""
    if not message or turns[message - 1].kind is not Kind.PASSAGES:
        return None
    passage = PASSAGE.search(turns[message - 1].text)
    if passage is None:
        return None
    source, content = passage[1].split(" › ")[0], " ".join(passage[2].split())
    said = ""
    for sentence in _SENTENCE.findall(content):
        if said and len(said) + len(sentence) > _READ_OUT_CHARS:
            break
        said += sentence
    return lines.text("rehearsal.passage", {"source": source, "text": said.strip()})


def _reply(turns: Sequence[Turn], message: int, lines: Lines) -> str:
    if read := _read_out(turns, message, lines):
        return read
    heard = read_heard(turns[message].text)
    if text := echo_of(heard.text):
        echo = lines.text("rehearsal.echo_text", {"text": text})
    elif heard.secs:
        echo = lines.text("rehearsal.echo_speech", {"secs": write_secs(heard.secs, lines)})
    else:
        return lines.text("rehearsal.repeat")
    given = _replies_given(turns)
    if given == 0:
        return lines.text("rehearsal.first", {"echo": echo})
    replies = lines.all("rehearsal.reply")
    return replies[(given - 1) % len(replies)].format_map({"echo": echo})


def _replies_given(turns: Sequence[Turn]) -> int:
    """How often the person was answered in this call: history stands before its first task."""
    call = next((i for i, turn in enumerate(turns) if turn.kind is Kind.TASK), 0)
    talk = next((i for i in range(call, len(turns)) if turns[i].kind is Kind.USER), len(turns))
    return sum(turn.kind is Kind.ASSISTANT for turn in turns[talk:])


def _said(turns: Iterable[Turn], lines: Lines) -> tuple[list[str], float]:
    """What the person talked about, the first said first, and the untranscribed seconds."""
    heard = [read_heard(spoken_of(turn.text)) for turn in turns if turn.kind is Kind.USER]
    texts = (
        part.text
        for part in heard
        if not is_about_memory(part.text, lines) and not is_about_recording(part.text, lines)
    )
    return topics_of(texts, lines), sum(part.secs for part in heard)


def _facts(topics: Sequence[str], secs: float, lines: Lines) -> dict[str, str | None]:
    *others, last = topics or [""]
    listed = lines.text("rehearsal.and").join([", ".join(others), last] if others else [last])
    return {"topics": listed, "secs": write_secs(secs, lines)}


def _described_by(turns: Sequence[Turn], topics: Sequence[str], secs: float) -> str:
    """How the key of a line is written, by what is known of the conversation."""
    if topics:
        return "{}"
    remembers = any(turn.kind is Kind.TOOL_CALL and turn.text in MEMORY_TOOLS for turn in turns)
    return "{}_memory" if remembers else "{}_speech" if secs else "{}_empty"


def _last(turns: Sequence[Turn], kind: Kind) -> int:
    """Where the last of its kind is, or -1."""
    return max((i for i, turn in enumerate(turns) if turn.kind is kind), default=-1)


def _called_since(turns: Sequence[Turn], index: int, names: set[str]) -> bool:
    return any(turn.kind is Kind.TOOL_CALL and turn.text in names for turn in turns[index:])
