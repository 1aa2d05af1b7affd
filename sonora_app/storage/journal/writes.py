"""Writes records into the journal's tables."""

import hashlib
import json
import sqlite3
from typing import Any
from uuid import UUID

from sonora_app.errors import RecordRefusedError
from sonora_app.storage.journal.label_rows import INSERT as INSERT_LABEL
from sonora_app.storage.journal.label_rows import may_stand, remove_label
from sonora_app.storage.journal.memory_rows import write_memory
from sonora_app.storage.journal.outbox_rows import (
    NEVER_SHIPPED,
    SHIPPING,
    Entry,
    adopt,
    disown,
    enqueue,
    sql_time,
)
from sonora_app.storage.journal.position_rows import is_superseded, write_position
from sonora_app.storage.journal.provisional import begin, in_its_place
from sonora_app.storage.journal.tool_call_rows import INSERT as INSERT_TOOL_CALL
from sonora_app.storage.journal.tool_call_rows import end_tool_call
from sonora_app.storage.journal.values import to_json, to_sql
from sonora_app.storage.labels import Label, LabelUpdate
from sonora_app.storage.positions import Position
from sonora_app.storage.records import (
    AnyMemory,
    Conversation,
    ConversationUpdate,
    JsonObject,
    MemoryUpdate,
    Message,
    ProvisionalConversation,
    Record,
    Session,
    SessionUpdate,
    Transition,
    utc_now,
)
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate

_INSERTS: dict[type[Record], str] = {
    Conversation: """
        INSERT INTO conversations (
            id, user_id, title, summary, status, language, metadata, created_at, updated_at,
            last_message_at, shipping
        ) VALUES (
            :id, :user_id, :title, :summary, :status, :language, :metadata, :created_at,
            :updated_at, :last_message_at, :shipping
        ) ON CONFLICT (id) DO NOTHING
    """,
    Session: """
        INSERT INTO sessions (
            id, conversation_id, transport, started_at, ended_at, end_reason, metrics,
            app_version, process_id, shipping
        ) VALUES (
            :id, :conversation_id, :transport, :started_at, :ended_at, :end_reason, :metrics,
            :app_version, :process_id, :shipping
        ) ON CONFLICT (id) DO NOTHING
    """,
    Message: """
        INSERT INTO messages (
            id, conversation_id, session_id, seq, role, content, modality, interrupted, node,
            images, metadata, metrics, created_at, deleted_at, shipping, written_at
        ) VALUES (
            :id, :conversation_id, :session_id, :seq, :role, :content, :modality, :interrupted,
            :node, :images, :metadata, :metrics, :created_at, :deleted_at, :shipping, :written_at
        ) ON CONFLICT (id) DO NOTHING
    """,
    Transition: """
        INSERT INTO transitions (
            id, conversation_id, session_id, seq, from_node, to_node, trigger, arguments,
            created_at, shipping
        ) VALUES (
            :id, :conversation_id, :session_id, :seq, :from_node, :to_node, :trigger,
            :arguments, :created_at, :shipping
        ) ON CONFLICT (id) DO NOTHING
    """,
    ToolCall: INSERT_TOOL_CALL,
    Label: INSERT_LABEL,
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
    UPDATE sessions SET
        ended_at = coalesce(:ended_at, ended_at),
        end_reason = coalesce(:end_reason, end_reason),
        metrics = :metrics
    WHERE id = :id
"""

_Part = Session | Message | Transition | Position | ToolCall | ToolCallUpdate | Label | LabelUpdate
"""What names the conversation that it belongs to."""
_UPDATES = (
    ConversationUpdate | SessionUpdate | MemoryUpdate | Position | ToolCallUpdate | LabelUpdate
)


def write_record(
    connection: sqlite3.Connection, record: Record, *, process_id: UUID, outbox: bool
) -> bool:
    """Write `record`, within the caller's transaction. One that was written changes nothing.

    Args:
        connection: The journal.
        record: What to write.
        process_id: The process that a new session belongs to.
        outbox: Whether what changes something is also put in the outbox.

    Returns:
        Whether it was put in the outbox.

    Raises:
        RecordRefusedError: It changes something that is not kept, or is of an unknown kind.
        sqlite3.Error: It cannot be written.
        ValueError: It holds a value that JSON has no words for.
    """
    if isinstance(record, ProvisionalConversation):
        begin(connection, record)
        return False
    record = in_its_place(connection, record)
    row = {name: to_sql(value) for name, value in record}
    if isinstance(record, AnyMemory):
        return write_memory(connection, record, row, payload_of(record), outbox=outbox)
    conversation_id = _conversation_of(connection, record)
    if outbox:
        adopt(connection, conversation_id)
    if isinstance(record, ConversationUpdate):
        operation = "update"
        changed = _update_conversation(connection, record, row)
    elif isinstance(record, SessionUpdate):
        operation = "update"
        changed = _update_session(connection, record, row, conversation_id)
    elif isinstance(record, Position):
        operation = "update"
        changed = write_position(connection, row)
    elif isinstance(record, ToolCallUpdate | LabelUpdate):
        operation = "update"
        changed = _end(connection, record, row, outbox=outbox)
    else:
        operation = "insert"
        row["process_id"] = str(process_id)
        row["written_at"] = sql_time(utc_now())
        changed = _insert(connection, record, row, outbox=outbox)
    if not changed:
        return False
    if outbox:
        enqueue(
            connection,
            table=record.table,
            row_id=str(row.get("id", conversation_id)),
            operation=operation,
            payload=payload_of(record),
            conversation_id=conversation_id,
        )
    else:
        disown(connection, conversation_id)
    return outbox


def _conversation_of(connection: sqlite3.Connection, record: Record) -> str:
    """The id of the conversation that `record` belongs to."""
    if isinstance(record, Conversation | ConversationUpdate):
        return str(record.id)
    if isinstance(record, _Part):
        return str(record.conversation_id)
    if isinstance(record, SessionUpdate):
        kept = connection.execute(
            "SELECT conversation_id FROM sessions WHERE id = ?", (str(record.id),)
        ).fetchone()
        if kept is None:
            raise _not_kept("session")
        return kept["conversation_id"]
    raise RecordRefusedError(f"The journal does not keep records of kind {type(record).__name__}.")


def _insert(
    connection: sqlite3.Connection, record: Record, row: dict[str, Any], *, outbox: bool
) -> bool:
    if isinstance(record, Label) and not outbox and not may_stand(connection, row):
        # It was erased this instant. With Supabase, that has the last word.
        raise _not_kept("conversation")
    row["shipping"] = SHIPPING if outbox else NEVER_SHIPPED
    return connection.execute(_INSERTS[type(record)], row).rowcount == 1


def _update_conversation(
    connection: sqlite3.Connection, update: ConversationUpdate, row: dict[str, Any]
) -> bool:
    kept = connection.execute(
        "SELECT id, metadata FROM conversations WHERE id = :id", row
    ).fetchone()
    if kept is None:
        raise _not_kept("conversation")
    if is_superseded(connection, kept["id"], update.session_id):
        return False
    if not _is_new(connection, kept["id"], update):
        return False
    row["metadata"] = _merged(kept["metadata"], update.metadata)
    connection.execute(_UPDATE_CONVERSATION, row)
    return True


def _update_session(
    connection: sqlite3.Connection,
    update: SessionUpdate,
    row: dict[str, Any],
    conversation_id: str,
) -> bool:
    if not _is_new(connection, conversation_id, update):
        return False
    kept = connection.execute("SELECT metrics FROM sessions WHERE id = :id", row).fetchone()
    row["metrics"] = _merged(kept["metrics"], update.metrics)
    connection.execute(_UPDATE_SESSION, row)
    return True


def _end(
    connection: sqlite3.Connection,
    record: ToolCallUpdate | LabelUpdate,
    row: dict[str, Any],
    *,
    outbox: bool,
) -> bool:
    """Write the end of a call of a tool, or of a label. A label may be in Supabase alone."""
    is_label = isinstance(record, LabelUpdate)
    changed = remove_label(connection, row) if is_label else end_tool_call(connection, row)
    if changed is None and not (is_label and outbox):
        raise _not_kept("label" if is_label else "call of a tool")
    return changed is not False


def _is_new(
    connection: sqlite3.Connection,
    conversation_id: str,
    update: ConversationUpdate | SessionUpdate,
) -> bool:
    """Whether this very update was not applied before; from now on it counts as applied.

    It is known by its content, not by its time: a clock that steps back must lose nothing.
    """
    digest = hashlib.blake2b(
        f"{update.table} {payload_of(update)}".encode(), digest_size=16
    ).digest()
    inserted = connection.execute(
        "INSERT INTO applied_updates (conversation_id, digest) VALUES (?, ?)"
        " ON CONFLICT DO NOTHING",
        (conversation_id, digest),
    )
    return inserted.rowcount == 1


def _not_kept(what: str) -> RecordRefusedError:
    return RecordRefusedError(
        f"A record is for a {what} that is not kept, so nothing of its batch was written.",
        hint=f"Write the {what} first; it may have been deleted.",
    )


def entry_of(record: Record, *, conversation_id: UUID, user_id: str | None) -> Entry:
    """A record that is in no outbox, as the outbox would have it. It has no position.

    Args:
        record: The record.
        conversation_id: The conversation it belongs to.
        user_id: Whose that conversation is; None is nobody's.

    Raises:
        ValueError: It holds a value that JSON has no words for.
    """
    payload: JsonObject = json.loads(payload_of(record))
    return Entry(
        position=0,
        table=record.table,
        row_id=UUID(payload.get("id", str(conversation_id))),
        operation="update" if _is_update(record) else "insert",
        conversation_id=conversation_id,
        user_id=user_id,
        payload=payload,
    )


def payload_of(record: Record) -> str:
    """`record` as JSON: a whole row to insert, or only what an update changes.

    The objects in an update are to be merged into those of the row, key by key.
    """
    return to_json(record.model_dump(exclude_none=_is_update(record)))


def _is_update(record: Record) -> bool:
    return isinstance(record, _UPDATES)


def _merged(kept: str, changes: dict[str, Any] | None) -> str:
    return to_json({**json.loads(kept), **(changes or {})})
