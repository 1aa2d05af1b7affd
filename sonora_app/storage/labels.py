"""What whoever looks at a conversation notes of it: labels, in their own words, and notes.

A label stands at a turn, at a call, or at the conversation as a whole. Nothing of it is ever
changed: another note is another label in its place.
"""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from sonora_app.storage.records import Record

NAME_CHARS = 60
"""How long the name of a label may be."""
NOTE_CHARS = 2_000
"""How long the note beside it may be."""


class Label(Record):
    """One label.

    `message_id` is the turn that it stands at, and `session_id` the call; with neither it stands at
    the conversation as a whole. One that was taken away has no words any more.
    """

    table: ClassVar[str] = "labels"

    id: UUID
    conversation_id: UUID
    session_id: UUID | None = None
    message_id: UUID | None = None
    name: str
    note: str | None = None
    created_at: AwareDatetime
    removed_at: AwareDatetime | None = None


class LabelUpdate(Record):
    """That a label was taken away. It is never put back, so that this may be applied again."""

    table: ClassVar[str] = "labels"

    id: UUID
    conversation_id: UUID
    removed_at: AwareDatetime


def as_name(text: str) -> str:
    """The name that `text` means: in small letters, with one space between words.

    What nobody sees, such as a control character, is left out: names are alike that look alike.
    """
    seen = "".join(each for each in text if each.isprintable() or each.isspace())
    return " ".join(seen.split()).lower()


def is_name(text: str) -> bool:
    """Whether `text` means a name that a label may have."""
    return 0 < len(as_name(text)) <= NAME_CHARS


def as_note(text: str) -> str | None:
    """The note that `text` means; None: none. Half of a surrogate pair is not kept as it is."""
    return text.encode("utf-8", "replace").decode().strip() or None


def standing(labels: Iterable[Label]) -> tuple[Label, ...]:
    """Those that were not taken away, the first given first."""
    left = (label for label in labels if label.removed_at is None)
    return tuple(sorted(left, key=lambda label: (label.created_at, label.id)))


def in_both(here: Iterable[Label], there: Iterable[Label]) -> tuple[Label, ...]:
    """The labels of two stores: one that either has as taken away is."""
    found: dict[UUID, Label] = {}
    for label in (*there, *here):
        if label.id not in found or label.removed_at is not None:
            found[label.id] = label
    return tuple(found.values())
