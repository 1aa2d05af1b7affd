"""A conversation as a person reads it: in a terminal, or as Markdown."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypeAlias, cast
from uuid import UUID

from rich.text import Text

from sonora_app.commands.output import plain
from sonora_app.reports.cost import Cost
from sonora_app.reports.report import cost_in
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.kept_at import KeptAt
from sonora_app.storage.labels import standing
from sonora_app.storage.records import (
    JsonObject,
    Message,
    Modality,
    Role,
    Session,
    Transition,
)
from sonora_app.storage.store import Transcript
from sonora_app.storage.tool_calls import ToolCall, ToolStatus
from sonora_app.storage.whole_turns import parts_of, whole_turns
from sonora_app.wording.kept_words import in_words
from sonora_app.wording.translation import say, worded

Entry: TypeAlias = Session | Transition | Message | ToolCall

_SPEAKERS: dict[str, str] = {Role.USER: "User", Role.ASSISTANT: "Sonora"}
_PARTS: dict[str, str] = {
    "stt": worded("speech recognition"),
    "llm": worded("language model"),
    "tts": worded("voice"),
}

_INDENT = 20
"""Columns before what was said: a time, a speaker, and the space after each."""

# What Markdown would take as markup, anywhere or at the start of a line.
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~&]|^[-+=](?=[-+=\s]))", re.MULTILINE)


def as_transcript(transcript: Transcript, *, times: bool = False) -> Text:
    """A transcript for a terminal: local times, what was said, and the steps of the flow.

    Args:
        transcript: What to show.
        times: Whether to tell when each turn was kept, too.
    """
    conversation = transcript.conversation
    text = Text()
    text.append(plain(conversation.title or say("A conversation without a title")), style="bold")
    for name, value in _facts(transcript):
        text.append(f"\n{name}: ", style="dim").append(plain(value))
    calls = 0
    for entry in _timeline(transcript):
        if isinstance(entry, Session):
            calls += 1
            text.append(
                f"\n\n{say('Call {number}', number=calls)} · {_call(entry)}\n", style="bold cyan"
            )
            for label in _labels(transcript, call=entry):
                text.append(f"{say('Label')}: {plain(label)}\n", style="yellow")
        elif isinstance(entry, Transition):
            text.append(f"\n{_clock(entry.created_at)}  ", style="dim")
            text.append(f"{'':8}  → {plain(entry.to_node)}  ", style="magenta")
            text.append(say("by {trigger}", trigger=plain(entry.trigger)), style="dim")
        elif isinstance(entry, ToolCall):
            text.append(f"\n{_clock(entry.started_at)}  ", style="dim")
            text.append(f"{'':8}  * {plain(entry.name)}  ", style="magenta")
            text.append(_outcome(entry), style="dim")
        else:
            text.append(f"\n{_clock(entry.created_at)}  ", style="dim")
            text.append(f"{plain(_speaker(entry)):8}  ", style="bold")
            text.append(_indented(plain(entry.content or "")))
            if marks := _marks(entry):
                text.append(f" ({', '.join(marks)})", style="yellow")
            if times and (kept := transcript.kept_at.get(UUID(parts_of(entry)[-1]))):
                text.append(f"\n{'':{_INDENT}}{_kept(kept)}", style="dim")
            for label in _labels(transcript, turn=entry):
                text.append(f"\n{'':{_INDENT}}{say('Label')}: ", style="yellow")
                text.append(_indented(plain(label)), style="yellow")
    return text


def as_markdown(transcript: Transcript) -> str:
    """A transcript as Markdown, with everything that was said shown as it was said."""
    conversation = transcript.conversation
    lines = [f"# {_escaped(conversation.title or say('A conversation without a title'))}", ""]
    lines += [f"- {name}: {_on_lines(value)}" for name, value in _facts(transcript)]
    calls = 0
    for entry in _timeline(transcript):
        if isinstance(entry, Session):
            calls += 1
            lines += ["", f"## {say('Call {number}', number=calls)}", "", _escaped(_call(entry))]
            lines += _noted(_labels(transcript, call=entry))
        elif isinstance(entry, Transition):
            by = say("by {trigger}", trigger=entry.trigger)
            step = f"{entry.from_node} → {entry.to_node}, {by}"
            lines += ["", f"*{_clock(entry.created_at)} · {_escaped(step)}*"]
        elif isinstance(entry, ToolCall):
            used = f"{say('tool {name}', name=entry.name)}, {_outcome(entry)}"
            lines += ["", f"*{_clock(entry.started_at)} · {_escaped(used)}*"]
        else:
            marks = "".join(f", {mark}" for mark in _marks(entry))
            lines += [
                "",
                f"**{_escaped(_speaker(entry))}** ({_clock(entry.created_at)}{marks})",
                "",
                *_quoted(entry.content or ""),
                *_noted(_labels(transcript, turn=entry)),
            ]
    return "\n".join(lines) + "\n"


def local_time(moment: datetime) -> str:
    """A moment as this machine's clock would have shown it, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _timeline(transcript: Transcript) -> list[Entry]:
    """Everything that happened, in order; a step comes before what was said at its moment."""

    def order(entry: Entry) -> tuple[datetime, int, int]:
        if isinstance(entry, Session):
            return entry.started_at, 0, 0
        if isinstance(entry, Transition):
            return entry.created_at, 1, entry.seq
        if isinstance(entry, ToolCall):
            return entry.started_at, 3, 0
        return entry.created_at, 2, entry.seq or 0

    said_and_done = (*whole_turns(transcript.messages), *transcript.tool_calls)
    return sorted((*transcript.sessions, *transcript.transitions, *said_and_done), key=order)


def _labels(
    transcript: Transcript, *, call: Session | None = None, turn: Message | None = None
) -> Iterator[str]:
    """The labels with their notes of a call, of a turn, or of the conversation as a whole."""
    parts = parts_of(turn) if turn else []
    for label in standing(transcript.labels):
        at = (label.message_id, None if label.message_id else label.session_id)
        if at == (turn and turn.id, call and call.id) or str(label.message_id) in parts:
            yield f"{label.name} · {label.note}" if label.note else label.name


def _noted(labels: Iterable[str]) -> list[str]:
    return [line for each in labels for line in ("", f"*{say('Label')}: {_on_lines(each)}*")]


def _facts(transcript: Transcript) -> Iterator[tuple[str, str]]:
    conversation = transcript.conversation
    yield say("Conversation"), str(conversation.id)
    if conversation.user_id:
        yield say("User"), conversation.user_id
    yield say("Status"), in_words("status", conversation.status)
    if conversation.language:
        yield say("Language"), conversation.language
    if conversation.summary:
        yield say("Summary"), conversation.summary
    if topics := conversation.metadata.get("topics"):
        yield say("Topics"), _listed(topics)
    if outcome := conversation.metadata.get("outcome"):
        yield say("Outcome"), in_words("outcomes", str(outcome))
    if labels := list(_labels(transcript)):
        yield say("Labels"), "; ".join(labels)
    yield say("Times"), f"{conversation.created_at.astimezone():%Z (UTC%z)}"


def _listed(value: object) -> str:
    return ", ".join(map(str, cast(list[object], value))) if isinstance(value, list) else str(value)


def _call(session: Session) -> str:
    parts = [f"{session.started_at.astimezone():%Y-%m-%d %H:%M:%S}", session.transport]
    if session.ended_at is not None:
        secs = max(0, round((session.ended_at - session.started_at).total_seconds()))
        parts.append(f"{secs // 60} min {secs % 60} s" if secs >= 60 else f"{secs} s")
    end = session.end_reason
    parts.append(in_words("ends", end) if end else say("not ended"))
    parts += _measured(session.metrics)
    return " · ".join(parts)


def _measured(metrics: JsonObject) -> Iterator[str]:
    """What a call has kept of its waits and its tokens."""
    waits = metrics.get("latency_ms")
    if isinstance(waits, dict):
        known = cast(JsonObject, waits)
        median, worst = known.get("median"), known.get("worst")
        yield say("answers after {median} ms, {worst} at worst", median=median, worst=worst)
    tokens = [metrics.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if any(tokens):
        yield say("{read} tokens read, {written} written", read=tokens[0], written=tokens[1])
    if (cost := cost_in(metrics)) is not None:
        yield _told_cost(cost)


def _told_cost(cost: Cost) -> str:
    """What a call cost, and what of it is not known."""
    amount = f"{cost.known:.4f} {cost.currency}"
    if cost.total is not None:
        return say("cost {amount}", amount=amount)
    parts = ", ".join(dict.fromkeys(say(_PARTS[each.part]) for each in cost.not_known))
    if not cost.known:
        return say("cost not known: {parts}", parts=parts)
    return say("cost at least {amount}; not known: {parts}", amount=amount, parts=parts)


def _outcome(call: ToolCall) -> str:
    how = say(
        {
            ToolStatus.STARTED: "not ended",
            ToolStatus.DONE: "done",
            ToolStatus.FAILED: "without success",
            ToolStatus.UNKNOWN: "not known whether it was done",
            ToolStatus.CALLED_OFF: "called off",
        }[call.status]
    )
    return how if call.secs is None else f"{how} · {call.secs:.1f} s"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone():%H:%M:%S}"


def _speaker(message: Message) -> str:
    # A text-chat API writes roles of its own into the same conversations.
    known = _SPEAKERS.get(message.role)
    return say(known) if known else message.role


def _marks(message: Message) -> list[str]:
    marks = [say("typed")] if message.modality is Modality.TEXT else []
    if message.interrupted:
        marks.append(say("interrupted"))
    if len(parts_of(message)) > 1:
        marks.append(say("cut in two"))
    for said in message.metadata.get("backchannels", []):
        marks.append(say("the user: {text}", text=said["text"]))
    if message.images:
        files = [KeptFile.referred_to(each) for each in message.images]
        one = len(files) == 1
        # What the text-chat API names is a picture.
        if all(file is None or file.is_picture for file in files):
            marks.append(say("with an image" if one else "with images"))
        else:
            marks.append(say("with a file" if one else "with files"))
    return marks


def _kept(at: KeptAt) -> str:
    written = f"{at.written_at.astimezone():%H:%M:%S.%f}"[:-3]
    told = say("in the journal at {time}", time=written)
    if at.stored_at is None:
        return told
    secs = max(0.0, (at.stored_at - at.written_at).total_seconds())
    return f"{told} · {say('in Supabase {secs} s later', secs=f'{secs:.3f}')}"


def _indented(said: str) -> str:
    return said.replace("\n", "\n" + " " * _INDENT)


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", plain(text))


def _on_lines(text: str) -> str:
    """`text` within one paragraph, which an empty line would end."""
    lines = (line.strip() for line in _escaped(text).splitlines())
    return "  \n  ".join(filter(None, lines))


def _quoted(said: str) -> list[str]:
    lines = _escaped(said).split("\n")
    # Two spaces end a line without ending the paragraph.
    return [f"> {line}  " for line in lines[:-1]] + [f"> {lines[-1]}"]
