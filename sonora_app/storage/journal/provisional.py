"""Provisional conversations, which stand in for one whose owner is not known yet.

A call may name a conversation whose owner cannot be read in time. What is said is then kept as a
conversation of its own, which belongs to the caller and is held back from Supabase until the owner
is known. If the caller owns the conversation that was named, the provisional one becomes a part of
it. If somebody else owns it, the provisional one stays separate. So nothing said is lost, and
nothing is written into another person's conversation.
"""

import json
import sqlite3
from dataclasses import dataclass
from uuid import UUID

from sonora_app.storage.labels import Label, LabelUpdate
from sonora_app.storage.positions import Position
from sonora_app.storage.records import (
    Conversation,
    ConversationUpdate,
    Memory,
    Message,
    ProvisionalConversation,
    Record,
    Session,
    Transition,
)
from sonora_app.storage.store import Found
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate

_Part = (
    Session
    | Message
    | Transition
    | Memory
    | Position
    | ToolCall
    | ToolCallUpdate
    | Label
    | LabelUpdate
)

# Updates of sessions are known by the session alone.
_MOVED_TABLES = (
    "sessions",
    "messages",
    "transitions",
    "tool_calls",
    "labels",
    "request_texts",
    "requests",
    "applied_updates",
    "memories",
)
_MOVE_ENTRIES = """
    UPDATE outbox SET
        conversation_id = :to,
        row_id = CASE WHEN table_name IN ('conversations', 'positions') THEN :to ELSE row_id END,
        payload = json_replace(
            payload,
            CASE table_name WHEN 'conversations' THEN '$.id' ELSE '$.conversation_id' END,
            :to
        )
    WHERE conversation_id = :from
"""
# What a message names the files by that were sent in it: their path has the conversation in it.
_RENAME_FILES = """
    UPDATE messages SET images = replace(images, :from_folder, :to_folder)
    WHERE conversation_id = :to AND images IS NOT NULL
"""
_RENAME_FILES_IN_ENTRIES = """
    UPDATE outbox SET payload = replace(payload, :from_folder, :to_folder)
    WHERE conversation_id = :to AND table_name = 'messages'
    AND json_extract(payload, '$.images') IS NOT NULL
"""
_MOVE_POSITION = """
    INSERT INTO positions (conversation_id, session_id, node, state, saying, updated_at)
    SELECT :to, session_id, node, state, saying, updated_at
    FROM positions WHERE conversation_id = :from
    ON CONFLICT (conversation_id) DO UPDATE SET
        session_id = excluded.session_id,
        node = excluded.node,
        state = excluded.state,
        saying = excluded.saying,
        updated_at = excluded.updated_at
    WHERE excluded.session_id > positions.session_id
"""
_BEGIN_TARGET = """
    INSERT INTO conversations (id, user_id, status, created_at, updated_at, shipping)
    SELECT :to, user_id, status, created_at, updated_at, shipping
    FROM conversations WHERE id = :from
    ON CONFLICT (id) DO NOTHING
"""
_MERGE = """
    UPDATE conversations AS target SET
        title = coalesce(source.title, target.title),
        summary = coalesce(source.summary, target.summary),
        status = source.status,
        language = coalesce(source.language, target.language),
        metadata = :metadata,
        message_count = target.message_count + source.message_count,
        last_message_at = max(
            coalesce(target.last_message_at, source.last_message_at),
            coalesce(source.last_message_at, target.last_message_at)
        ),
        updated_at = max(target.updated_at, source.updated_at)
    FROM (SELECT * FROM conversations WHERE id = :from) AS source
    WHERE target.id = :to
"""


@dataclass(frozen=True)
class Provisional:
    """A conversation whose place is not known yet.

    Parameters:
        conversation_id: What it is kept as for now.
        asked_for: The conversation that was asked for.
        user_id: Who asked.
    """

    conversation_id: UUID
    asked_for: UUID
    user_id: str

    def place(self, found: Found) -> UUID:
        """Where it belongs, given what there is of the conversation that was asked for.

        One that is nobody's counts as somebody else's: who asked has not shown that it is theirs.
        """
        there = found.opening
        if there is None or (there.conversation.user_id == self.user_id and not found.deleted):
            return self.asked_for
        return self.conversation_id


def begin(connection: sqlite3.Connection, record: ProvisionalConversation) -> None:
    """Hold back what is written of a conversation from now on.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    connection.execute(
        "INSERT INTO provisional (conversation_id, asked_for, user_id) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (str(record.id), str(record.asked_for), record.user_id),
    )


def unplaced(connection: sqlite3.Connection) -> tuple[Provisional, ...]:
    """Those whose place is not known yet, the eldest first.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    rows = connection.execute(
        "SELECT * FROM provisional WHERE kept_as IS NULL ORDER BY conversation_id"
    )
    return tuple(
        Provisional(UUID(row["conversation_id"]), UUID(row["asked_for"]), row["user_id"])
        for row in rows
    )


def provisional_for(connection: sqlite3.Connection, asked_for: UUID, user_id: str) -> UUID | None:
    """The latest conversation that stands in for `asked_for`, of this user, and has no place yet.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    row = connection.execute(
        "SELECT max(conversation_id) FROM provisional"
        " WHERE asked_for = ? AND user_id = ? AND kept_as IS NULL",
        (str(asked_for), user_id),
    ).fetchone()
    return UUID(row[0]) if row[0] else None


def settle(connection: sqlite3.Connection, provisional: Provisional, place: UUID) -> None:
    """Give a conversation its place, and let it be shipped. Again changes nothing.

    Args:
        connection: The journal, in a transaction.
        provisional: Which.
        place: What `Provisional.place` gave.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    key = {"from": str(provisional.conversation_id), "to": str(place)}
    placed = connection.execute(
        "UPDATE provisional SET kept_as = :to WHERE conversation_id = :from AND kept_as IS NULL",
        key,
    ).rowcount
    if not placed or place == provisional.conversation_id:
        return
    source = _metadata(connection, provisional.conversation_id)
    if source is None:
        return
    connection.execute(_BEGIN_TARGET, key)
    target = _metadata(connection, place) or {}
    connection.execute(_MERGE, key | {"metadata": json.dumps({**target, **source})})
    for table in _MOVED_TABLES:
        connection.execute(
            f"UPDATE {table} SET conversation_id = :to WHERE conversation_id = :from",  # noqa: S608  # names of ours
            key,
        )
    connection.execute(_MOVE_POSITION, key)
    connection.execute(_MOVE_ENTRIES, key)
    folders = {
        "to": str(place),
        "from_folder": f"/{provisional.conversation_id}/",
        "to_folder": f"/{place}/",
    }
    connection.execute(_RENAME_FILES, folders)
    connection.execute(_RENAME_FILES_IN_ENTRIES, folders)
    connection.execute("DELETE FROM conversations WHERE id = :from", key)


def in_its_place(connection: sqlite3.Connection, record: Record) -> Record:
    """`record` as a part of the conversation that its own has become a part of, if it has.

    A call goes on writing under the id that it began with.

    Raises:
        sqlite3.Error: The journal cannot be read.
    """
    if isinstance(record, Conversation | ConversationUpdate):
        field, conversation_id = "id", record.id
    elif isinstance(record, _Part):
        field, conversation_id = "conversation_id", record.conversation_id
    else:
        return record
    row = connection.execute(
        "SELECT kept_as FROM provisional WHERE conversation_id = ?", (str(conversation_id),)
    ).fetchone()
    if row is None or row["kept_as"] in (None, str(conversation_id)):
        return record
    update: dict[str, object] = {field: UUID(row["kept_as"])}
    if isinstance(record, Message) and record.images:
        update["images"] = [
            each.replace(f"/{conversation_id}/", f"/{row['kept_as']}/")
            if isinstance(each, str)
            else each
            for each in record.images
        ]
    return record.model_copy(update=update)


def _metadata(connection: sqlite3.Connection, conversation_id: UUID) -> dict[str, object] | None:
    row = connection.execute(
        "SELECT metadata FROM conversations WHERE id = ?", (str(conversation_id),)
    ).fetchone()
    return None if row is None else json.loads(row["metadata"])
