"""What the journal knows of kept files: their conversations, and the messages that name them."""

import json
import sqlite3
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from uuid import UUID

from sonora_app.storage.files.kept_file import KeptFile

_LOOK = """
    SELECT given.value AS id, conversations.id IS NOT NULL AS is_here,
        provisional.conversation_id IS NOT NULL AND provisional.kept_as IS NULL AS is_unplaced,
        nullif(provisional.kept_as, given.value) AS moved_to
    FROM json_each(:ids) AS given
    LEFT JOIN conversations ON conversations.id = given.value
    LEFT JOIN provisional ON provisional.conversation_id = given.value
"""

_NAMED = """
    SELECT image.value AS reference
    FROM messages, json_each(messages.images) AS image
    WHERE messages.conversation_id IN (SELECT value FROM json_each(:ids))
    AND messages.images IS NOT NULL
"""


@dataclass(frozen=True)
class Whereabouts:
    """What is known of a conversation.

    Parameters:
        is_here: Whether the journal has it.
        is_unplaced: Whether it stands in for another, and it is not known yet whether it becomes a
            part of that one.
        moved_to: What it has become a part of; None: of no other.
    """

    is_here: bool
    is_unplaced: bool
    moved_to: UUID | None

    @property
    def stood_in(self) -> bool:
        """Whether its messages are those of another conversation now, or will be."""
        return self.is_unplaced or self.moved_to is not None


def whereabouts(
    connection: sqlite3.Connection, conversation_ids: Collection[UUID]
) -> Mapping[UUID, Whereabouts]:
    """What is known of each of `conversation_ids`.

    Raises:
        sqlite3.Error: The journal cannot be read.
    """
    ids = json.dumps([str(each) for each in conversation_ids])
    return {
        UUID(row["id"]): Whereabouts(
            bool(row["is_here"]),
            bool(row["is_unplaced"]),
            UUID(row["moved_to"]) if row["moved_to"] else None,
        )
        for row in connection.execute(_LOOK, {"ids": ids})
    }


def named_files(connection: sqlite3.Connection, conversation_ids: Collection[UUID]) -> Set[UUID]:
    """The ids of the files that messages of these conversations name.

    Raises:
        sqlite3.Error: The journal cannot be read.
    """
    ids = json.dumps([str(each) for each in conversation_ids])
    rows = connection.execute(_NAMED, {"ids": ids})
    found = (KeptFile.referred_to(row["reference"]) for row in rows)
    return frozenset(file.id for file in found if file is not None)
