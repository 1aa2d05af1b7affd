"""Puts together the stored parts of a turn of the user's that was cut off: see `call/going_on.py`.

The parts stay messages of their own, as they were said, for whoever else reads the tables.
"""

from collections.abc import Iterable
from typing import cast
from uuid import UUID

from sonora_app.storage.records import Message, Role

CONTINUES = "continues"
"""In a message's metadata: the id of the message that it goes on with, as one turn."""

PARTS = "parts"
"""In the metadata of a turn that was put together: the ids of its parts, in order."""


def whole_turns(messages: Iterable[Message], *, with_cut_in: bool = True) -> list[Message]:
    """Messages with each turn that was cut off as one, where its first part stands.

    A part whose turn is not among them, or was deleted, stays as it is.

    Args:
        messages: Stored messages of one conversation, oldest first.
        with_cut_in: Whether what the bot said between the parts is kept, after the turn.
    """
    whole: list[Message] = []
    places: dict[str, int] = {}
    cut_in: set[UUID] = set()
    for message in messages:
        place = places.get(str(message.metadata.get(CONTINUES)))
        if place is None or not _may_be_parts(whole[place], message):
            place = len(whole)
            whole.append(message)
        else:
            cut_in.update(each.id for each in whole[place + 1 :] if each.role == Role.ASSISTANT)
            whole[place] = _joined(whole[place], message)
        places[str(message.id)] = place
    return whole if with_cut_in else [each for each in whole if each.id not in cut_in]


def parts_of(turn: Message) -> list[str]:
    """The ids of a turn's parts, in order; of a turn in one piece its own."""
    parts: object = turn.metadata.get(PARTS)
    return list(map(str, cast(list[object], parts))) if isinstance(parts, list) else [str(turn.id)]


def _may_be_parts(*messages: Message) -> bool:
    return all(each.role == Role.USER and each.deleted_at is None for each in messages)


def _joined(first: Message, second: Message) -> Message:
    parts = [*parts_of(first), str(second.id)]
    content = f"{first.content or ''} {second.content or ''}".strip()
    return first.model_copy(
        update={"content": content, "metadata": first.metadata | {PARTS: parts}}
    )
