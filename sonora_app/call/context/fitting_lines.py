"""The fixed lines that fit a call: what it says and what its prompts say, by what is known."""

from collections.abc import Sequence
from dataclasses import replace

from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.flow.lines import Lines
from sonora_app.flow.quoted import quoted
from sonora_app.storage.records import EndReason, utc_now


def greeting(lines: Lines, opened: OpenedConversation | None) -> str:
    """How the user is greeted: as somebody new, or as somebody who comes back."""
    facts = opened.facts if opened else None
    last = facts.last_talk_at if facts else None
    known = {
        "name": facts.name if facts else None,
        "topic": facts.topic if facts else None,
        "since": lines.since(last, utc_now()) if last else None,
    }
    returning = opened is not None and opened.returning
    return lines.text(f"greeting.{'returning' if returning else 'new'}", known)


def about_to_say(lines: Lines, opened: OpenedConversation | None, node: str) -> str | None:
    """The fixed line of `node` that is kept until it is known what was heard of it."""
    return greeting(lines, opened) if node == "greeting" else None


def named(opened: OpenedConversation, name: str | None) -> OpenedConversation:
    """The conversation of a person who is called `name`; None where that is not known."""
    return replace(opened, facts=replace(opened.facts, name=name))


def user(lines: Lines, opened: OpenedConversation | None) -> str:
    """What the model is told of who the person is; empty where no name is known."""
    return _text_if_known(lines, "prompt.user", {"name": quoted(opened and opened.facts.name)})


def told_on_return(
    lines: Lines, opened: OpenedConversation, *, known: Sequence[str]
) -> list[dict[str, str]]:
    """What the model is told where the talk goes on from where it broke off.

    Args:
        lines: The fixed lines, in the call's language.
        opened: The call's conversation.
        known: What the model is told of what is remembered, and of recording: the greeting,
            which has both, is not entered.
    """
    if opened.back is None:
        return []
    facts = {"summary": quoted(opened.summary), "saying": quoted(opened.back.unheard)}
    parts = [_text_if_known(lines, f"prompt.{key}", facts) for key in ("history", "saying")]
    told = " ".join(filter(None, [user(lines, opened), *parts, lines.text("prompt.back")]))
    return [{"role": "developer", "content": "\n".join(filter(None, [told, *known]))}]


def farewell(lines: Lines, reason: EndReason | None) -> str:
    """How the user is seen off."""
    return lines.text(f"farewell.{reason or EndReason.GOODBYE}")


def prompt_facts(
    lines: Lines,
    opened: OpenedConversation | None,
    *,
    knows: bool = False,
    acts: bool = False,
    sees: bool = False,
) -> dict[str, str]:
    """What the prompts' placeholders stand for.

    Args:
        lines: The fixed lines, in the call's language.
        opened: The call's conversation, once it is open.
        knows: Whether there are documents to answer from.
        acts: Whether there are tools to act with.
        sees: Whether the model takes pictures.
    """
    facts = {"summary": quoted(opened.summary) if opened else None}
    return {
        "language": lines.text("prompt.language"),
        "user": user(lines, opened),
        "history": _text_if_known(lines, "prompt.history", facts),
        "knowledge": lines.text(f"prompt.knowledge.{'documents' if knows else 'none'}"),
        "acting": lines.text(f"prompt.acting.{'tools' if acts else 'none'}"),
        "sight": lines.text(f"prompt.sight.{'sees' if sees else 'blind'}"),
        "wrap_up_reason": "",
    }


def wrap_up_reason(lines: Lines, cause: str) -> str:
    """What the model is told about why the conversation is being wound up."""
    return _text_if_known(lines, f"prompt.wrap_up_reason.{cause}", {})


def _text_if_known(lines: Lines, key: str, facts: dict[str, str | None]) -> str:
    try:
        return lines.text(key, facts)
    except KeyError:
        return ""
