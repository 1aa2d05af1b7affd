"""Reads the journal: the queries, and their rows as records."""

import sqlite3
from datetime import datetime
from typing import Any
from uuid import UUID

from sonora_app.storage.journal.as_records import to_record, to_records
from sonora_app.storage.journal.memory_rows import read_known
from sonora_app.storage.journal.position_rows import read_standing
from sonora_app.storage.journal.provisional import provisional_for
from sonora_app.storage.kept_at import KeptAt
from sonora_app.storage.labels import Label
from sonora_app.storage.records import Conversation, Message, Session, Transition
from sonora_app.storage.store import NOTHING, Found, Opening, Recall, Transcript
from sonora_app.storage.tool_calls import ToolCall

# Rows without a seq come first among those of one moment, in both directions: SQLite holds
# null to be the smallest value. A limit of -1 is none.
_NEWEST_MESSAGES = """
    SELECT * FROM messages WHERE conversation_id = :id AND deleted_at IS NULL
    ORDER BY created_at DESC, seq DESC, messages.id DESC LIMIT :limit
"""

_NEWEST_TOOL_CALLS = """
    SELECT * FROM tool_calls WHERE conversation_id = :id
    ORDER BY started_at DESC, tool_calls.id DESC LIMIT :limit
"""

_PREVIOUS = """
    SELECT * FROM conversations
    WHERE user_id = :user_id AND last_message_at IS NOT NULL AND id IS NOT :id
    ORDER BY last_message_at DESC, created_at DESC, id DESC LIMIT 1
"""

_UNSHIPPED = (
    "SELECT row_id FROM outbox WHERE conversation_id = :id AND operation = 'insert'",
    "SELECT row_id FROM set_aside WHERE conversation_id = :id AND operation = 'insert'",
    "SELECT id FROM conversations WHERE id = :id AND shipping <> 1",
    *(
        f"SELECT id FROM {table} WHERE conversation_id = :id AND shipping <> 1"  # noqa: S608  # ours
        for table in ("sessions", "messages", "transitions", "tool_calls", "labels")
    ),
)


def read_found(
    connection: sqlite3.Connection,
    conversation_id: UUID | None,
    user_id: str,
    *,
    message_limit: int,
    recall: Recall = NOTHING,
) -> Found:
    """What `Store.look_up` gives, within the caller's transaction.

    What it costs does not grow with the conversation.
    """
    row = None
    if conversation_id is not None:
        row = _conversation_row(connection, conversation_id)
        if row is None and (kept := provisional_for(connection, conversation_id, user_id)):
            row = _conversation_row(connection, kept)
    opening = None if row is None else _opening(connection, row, message_limit)
    previous = connection.execute(
        _PREVIOUS, {"user_id": user_id, "id": row["id"] if row else None}
    ).fetchone()
    return Found(
        opening,
        previous=to_record(Conversation, previous) if previous else None,
        known=read_known(connection, user_id, recall),
    )


def read_transcript(connection: sqlite3.Connection, conversation_id: UUID) -> Transcript | None:
    """What `Store.transcript` gives, within the caller's transaction."""
    key = {"id": str(conversation_id), "limit": -1}
    row = _conversation_row(connection, conversation_id)
    if row is None:
        return None
    sessions = connection.execute(
        "SELECT * FROM sessions WHERE conversation_id = :id ORDER BY started_at, sessions.id", key
    )
    transitions = connection.execute(
        "SELECT * FROM transitions WHERE conversation_id = :id"
        " ORDER BY created_at, seq, transitions.id",
        key,
    )
    tool_calls = connection.execute(
        "SELECT * FROM tool_calls WHERE conversation_id = :id ORDER BY started_at, tool_calls.id",
        key,
    )
    labels = connection.execute("SELECT * FROM labels WHERE conversation_id = :id", key)
    messages = connection.execute(_NEWEST_MESSAGES, key).fetchall()[::-1]
    return Transcript(
        conversation=to_record(Conversation, row),
        sessions=to_records(Session, sessions),
        messages=to_records(Message, messages),
        transitions=to_records(Transition, transitions),
        tool_calls=to_records(ToolCall, tool_calls),
        labels=to_records(Label, labels),
        kept_at={UUID(each["id"]): _kept_at(each) for each in messages if each["written_at"]},
    )


def read_tool_calls(
    connection: sqlite3.Connection, conversation_id: UUID, limit: int
) -> tuple[ToolCall, ...]:
    """What `Store.tool_calls` gives, within the caller's transaction."""
    rows = connection.execute(_NEWEST_TOOL_CALLS, {"id": str(conversation_id), "limit": limit})
    return to_records(ToolCall, rows.fetchall()[::-1])


def read_unshipped(connection: sqlite3.Connection, conversation_id: UUID) -> frozenset[UUID]:
    """The rows of a conversation that only the journal is sure to have: the ids of those that wait
    to be shipped, were refused or given up, or never were to be shipped.
    """
    key = {"id": str(conversation_id)}
    found: set[UUID] = set()
    for query in _UNSHIPPED:
        found |= {UUID(row[0]) for row in connection.execute(query, key)}
    return frozenset(found)


def _opening(connection: sqlite3.Connection, row: sqlite3.Row, message_limit: int) -> Opening:
    key = {"id": row["id"], "limit": max(0, message_limit)}
    messages = _oldest_first(connection, key)
    message_seq, transition_seq = connection.execute(
        "SELECT (SELECT max(seq) FROM messages WHERE conversation_id = :id),"
        " (SELECT max(seq) FROM transitions WHERE conversation_id = :id)",
        key,
    ).fetchone()
    return Opening(
        conversation=to_record(Conversation, row),
        messages=messages,
        older_messages=row["message_count"] - len(messages),
        last_message_seq=message_seq or 0,
        last_transition_seq=transition_seq or 0,
        standing=read_standing(connection, row["id"]),
    )


def _kept_at(message: sqlite3.Row) -> KeptAt:
    stored_at = message["stored_at"]
    return KeptAt(
        datetime.fromisoformat(message["written_at"]),
        datetime.fromisoformat(stored_at) if stored_at else None,
    )


def _conversation_row(connection: sqlite3.Connection, conversation_id: UUID) -> sqlite3.Row | None:
    return connection.execute(
        "SELECT * FROM conversations WHERE id = ?", (str(conversation_id),)
    ).fetchone()


def _oldest_first(connection: sqlite3.Connection, key: dict[str, Any]) -> tuple[Message, ...]:
    return to_records(Message, reversed(connection.execute(_NEWEST_MESSAGES, key).fetchall()))
