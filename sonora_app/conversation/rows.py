"""Records as the journal's rows: how they are written, and how they are read."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import to_jsonable_python

from sonora_app.conversation.records import (
    Conversation,
    ConversationUpdate,
    Message,
    Record,
    Session,
    SessionUpdate,
    Transition,
    utc_now,
)
from sonora_app.conversation.store import Listing, Opening, Transcript
from sonora_app.errors import RecordRefusedError

_INSERTS: dict[type[Record], str] = {
    Conversation: """
        INSERT INTO conversations (
            id, user_id, title, summary, status, language, metadata, created_at, updated_at,
            last_message_at
        ) VALUES (
            :id, :user_id, :title, :summary, :status, :language, :metadata, :created_at,
            :updated_at, :last_message_at
        ) ON CONFLICT (id) DO NOTHING
    """,
    Session: """
        INSERT INTO sessions (
            id, conversation_id, transport, started_at, ended_at, end_reason, metrics,
            app_version, process_id
        ) VALUES (
            :id, :conversation_id, :transport, :started_at, :ended_at, :end_reason, :metrics,
            :app_version, :process_id
        ) ON CONFLICT (id) DO NOTHING
    """,
    Message: """
        INSERT INTO messages (
            id, conversation_id, session_id, seq, role, content, modality, interrupted, node,
            images, metadata, metrics, created_at, deleted_at
        ) VALUES (
            :id, :conversation_id, :session_id, :seq, :role, :content, :modality, :interrupted,
            :node, :images, :metadata, :metrics, :created_at, :deleted_at
        ) ON CONFLICT (id) DO NOTHING
    """,
    Transition: """
        INSERT INTO transitions (
            id, conversation_id, session_id, seq, from_node, to_node, trigger, arguments,
            created_at
        ) VALUES (
            :id, :conversation_id, :session_id, :seq, :from_node, :to_node, :trigger,
            :arguments, :created_at
        ) ON CONFLICT (id) DO NOTHING
    """,
}

_UPDATE_CONVERSATION = """
    UPDATE conversations SET
        title = coalesce(:title, title),
        summary = coalesce(:summary, summary),
        status = coalesce(:status, status),
        language = coalesce(:language, language),
        metadata = :metadata,
        updated_at = max(updated_at, :updated_at)
    WHERE id = :id
"""

_UPDATE_SESSION = """
    UPDATE sessions SET ended_at = :ended_at, end_reason = :end_reason, metrics = :metrics
    WHERE id = :id
"""

# Rows without a seq come first among those of one moment, in both directions: SQLite holds
# null to be the smallest value. A limit of -1 is none.
_NEWEST_MESSAGES = """
    SELECT * FROM messages WHERE conversation_id = :id AND deleted_at IS NULL
    ORDER BY created_at DESC, seq DESC, messages.id DESC LIMIT :limit
"""

# Conversations that nobody has talked in yet come last.
_CONVERSATIONS = """
    SELECT * FROM conversations
    ORDER BY last_message_at DESC, created_at DESC, id DESC LIMIT :limit
"""
_CONVERSATIONS_OF_USER = """
    SELECT * FROM conversations WHERE user_id = :user_id
    ORDER BY last_message_at DESC, created_at DESC, id DESC LIMIT :limit
"""

_JSON_COLUMNS = frozenset({"metadata", "metrics", "images", "arguments"})

_AnyRecord = TypeVar("_AnyRecord", bound=Record)


def write_record(
    connection: sqlite3.Connection, record: Record, *, process_id: UUID, outbox: bool
) -> None:
    """Write `record`, within the caller's transaction. One that was written changes nothing.

    Args:
        connection: The journal.
        record: What to write.
        process_id: The process that a new session belongs to.
        outbox: Whether what changes something is also put in the outbox.

    Raises:
        RecordRefusedError: It changes something that is not kept, or is of an unknown kind.
        sqlite3.Error: It cannot be written.
        ValueError: It holds a value that JSON has no words for.
    """
    row = {name: _to_sql(value) for name, value in record}
    if type(record) in _INSERTS:
        operation = "insert"
        row["process_id"] = str(process_id)
        changed = connection.execute(_INSERTS[type(record)], row).rowcount == 1
    elif isinstance(record, ConversationUpdate):
        operation = "update"
        changed = _update_conversation(connection, record, row)
    elif isinstance(record, SessionUpdate):
        operation = "update"
        changed = _update_session(connection, record, row)
    else:
        raise RecordRefusedError(
            f"The journal does not keep records of kind {type(record).__name__}."
        )
    if outbox and changed:
        connection.execute(
            "INSERT INTO outbox (table_name, row_id, operation, payload, created_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (record.table, row["id"], operation, _payload(record), _to_sql(utc_now())),
        )


def _update_conversation(
    connection: sqlite3.Connection, update: ConversationUpdate, row: dict[str, Any]
) -> bool:
    kept = connection.execute(
        "SELECT id, metadata FROM conversations WHERE id = :id", row
    ).fetchone()
    if kept is None:
        raise _not_kept("conversation")
    if not _is_new(connection, kept["id"], update):
        return False
    row["metadata"] = _merged(kept["metadata"], update.metadata)
    connection.execute(_UPDATE_CONVERSATION, row)
    return True


def _update_session(
    connection: sqlite3.Connection, update: SessionUpdate, row: dict[str, Any]
) -> bool:
    kept = connection.execute(
        "SELECT conversation_id, metrics FROM sessions WHERE id = :id", row
    ).fetchone()
    if kept is None:
        raise _not_kept("session")
    if not _is_new(connection, kept["conversation_id"], update):
        return False
    row["metrics"] = _merged(kept["metrics"], update.metrics)
    connection.execute(_UPDATE_SESSION, row)
    return True


def _is_new(
    connection: sqlite3.Connection,
    conversation_id: str,
    update: ConversationUpdate | SessionUpdate,
) -> bool:
    """Whether this very update was not applied before; from now on it counts as applied.

    It is known by its content, not by its time: a clock that steps back must lose nothing.
    """
    digest = hashlib.blake2b(f"{update.table} {_payload(update)}".encode(), digest_size=16).digest()
    inserted = connection.execute(
        "INSERT INTO applied_updates (conversation_id, digest) VALUES (?, ?)"
        " ON CONFLICT DO NOTHING",
        (conversation_id, digest),
    )
    return inserted.rowcount == 1


def _not_kept(what: str) -> RecordRefusedError:
    return RecordRefusedError(
        f"An update is for a {what} that is not kept, so nothing of its batch was written.",
        hint=f"Write the {what} first; it may have been deleted.",
    )


def read_opening(
    connection: sqlite3.Connection, conversation_id: UUID, *, message_limit: int
) -> Opening | None:
    """What `Store.open` gives, within the caller's transaction.

    What it costs does not grow with the conversation.
    """
    key = {"id": str(conversation_id), "limit": max(0, message_limit)}
    row = _conversation_row(connection, conversation_id)
    if row is None:
        return None
    messages = _oldest_first(connection, key)
    message_seq, transition_seq = connection.execute(
        "SELECT (SELECT max(seq) FROM messages WHERE conversation_id = :id),"
        " (SELECT max(seq) FROM transitions WHERE conversation_id = :id)",
        key,
    ).fetchone()
    return Opening(
        conversation=_to_record(Conversation, row),
        messages=messages,
        older_messages=row["message_count"] - len(messages),
        last_message_seq=message_seq or 0,
        last_transition_seq=transition_seq or 0,
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
    return Transcript(
        conversation=_to_record(Conversation, row),
        sessions=_to_records(Session, sessions),
        messages=_oldest_first(connection, key),
        transitions=_to_records(Transition, transitions),
    )


def read_listings(
    connection: sqlite3.Connection, *, user_id: str | None, limit: int
) -> tuple[Listing, ...]:
    """What `Store.conversations` gives, within the caller's transaction."""
    rows = connection.execute(
        _CONVERSATIONS if user_id is None else _CONVERSATIONS_OF_USER,
        {"user_id": user_id, "limit": max(0, limit)},
    )
    return tuple(Listing(_to_record(Conversation, row), row["message_count"]) for row in rows)


def _conversation_row(connection: sqlite3.Connection, conversation_id: UUID) -> sqlite3.Row | None:
    return connection.execute(
        "SELECT * FROM conversations WHERE id = ?", (str(conversation_id),)
    ).fetchone()


def _oldest_first(connection: sqlite3.Connection, key: dict[str, Any]) -> tuple[Message, ...]:
    return _to_records(Message, reversed(connection.execute(_NEWEST_MESSAGES, key).fetchall()))


def _to_records(model: type[_AnyRecord], rows: Iterable[sqlite3.Row]) -> tuple[_AnyRecord, ...]:
    return tuple(_to_record(model, row) for row in rows)


def _to_record(model: type[_AnyRecord], row: sqlite3.Row) -> _AnyRecord:
    """The record that `row` holds. Null is the field's default."""
    values = {name: row[name] for name in model.model_fields}
    for name in _JSON_COLUMNS & values.keys():
        values[name] = json.loads(values[name] or "null")
    return model.model_validate(
        {name: value for name, value in values.items() if value is not None}
    )


def _to_sql(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, str):
        return _storable(str(value))
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, int):
        return value
    return _to_json(value)


def _payload(record: Record) -> str:
    """`record` as JSON: a whole row to insert, or only what an update changes.

    The objects in an update are to be merged into those of the row, key by key.
    """
    is_update = isinstance(record, ConversationUpdate | SessionUpdate)
    return _to_json(record.model_dump(exclude_none=is_update))


def _merged(kept: str, changes: dict[str, Any] | None) -> str:
    return _to_json({**json.loads(kept), **(changes or {})})


def _to_json(value: object) -> str:
    """JSON that SQLite and PostgreSQL take: not-a-number and the infinities become null."""
    plain = to_jsonable_python(value, inf_nan_mode="null")
    return _storable(json.dumps(plain, ensure_ascii=False, sort_keys=True, allow_nan=False))


def _storable(text: str) -> str:
    """`text` with what UTF-8 cannot hold replaced: half of a surrogate pair, from a browser."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
