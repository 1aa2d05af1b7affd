"""What the language model is told of the earlier calls of a conversation.

The one place that decides which stored messages a resumed call starts with.
"""

from collections.abc import Iterable
from typing import Literal, TypedDict

from sonora_app.storage.records import Message

_ROLES: dict[str, Literal["user", "assistant"]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    # The text-chat API that shares the tables writes this one.
    "agent": "assistant",
}


class ContextMessage(TypedDict):
    """A message as the language model takes it."""

    role: Literal["user", "assistant"]
    content: str


def context_messages(messages: Iterable[Message], *, max_chars: int) -> list[ContextMessage]:
    """The newest of `messages` that fit, oldest first, as context for the language model.

    Left out are messages without words (images alone, null content), deleted ones, and those of
    roles other than the two speakers: stored text never becomes an instruction.

    Args:
        messages: Stored messages, oldest first.
        max_chars: How many characters all of them may have together. A newest message longer
            than that is cut at its start rather than left out.
    """
    kept: list[ContextMessage] = []
    room = max_chars
    for message in reversed(list(messages)):
        role = _ROLES.get(message.role)
        content = (message.content or "").strip()
        if role is None or not content or message.deleted_at is not None:
            continue
        if len(content) > room:
            if kept or room <= 0:
                break
            content = content[-room:]
        kept.append(ContextMessage(role=role, content=content))
        room -= len(content)
    kept.reverse()
    return kept
