"""Changes to the outbox's rows. Every function here runs within a transaction of the journal."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sonora_app.storage.labels import Label
from sonora_app.storage.records import (
    Conversation,
    JsonObject,
    Message,
    Record,
    Session,
    Transition,
    utc_now,
)
from sonora_app.storage.tool_calls import ToolCall

NEVER_SHIPPED, SHIPPING, GIVEN_UP = 0, 1, 2
"""The values of the journal's columns `shipping`; see migrations.py."""

SHIPPED_KEPT = 5_000
"""How many of the latest shipped entries are remembered for other processes."""

_BATCH_BYTES = 256 * 1024
"""What the payloads of a batch may have together: encoding them occupies the event loop."""

_RECORDS: tuple[type[Record], ...] = (Conversation, Session, Message, Transition, ToolCall, Label)
_ORDERS = {
    "conversations": "id",
    "sessions": "started_at, id",
    "messages": "created_at, seq, id",
    "transitions": "created_at, seq, id",
    "tool_calls": "started_at, id",
    "labels": "created_at, id",
}
_JSON_FIELDS = frozenset({"metadata", "metrics", "images", "arguments"})
COLUMNS = "position, table_name, row_id, operation, payload, created_at, conversation_id"

_BATCH = """
    SELECT outbox.*, conversations.user_id
    FROM outbox LEFT JOIN conversations ON conversations.id = outbox.conversation_id
    WHERE NOT EXISTS (
        SELECT 1 FROM provisional
        WHERE provisional.conversation_id = outbox.conversation_id AND kept_as IS NULL
    )
    ORDER BY outbox.position LIMIT ?
"""
_ENQUEUE = """
    INSERT INTO outbox (table_name, row_id, operation, payload, created_at, conversation_id)
    VALUES (?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True)
class Entry:
    """One change that waits to be shipped.

    Parameters:
        position: Its place in the outbox; also what it is called by in commands.
        table: The table of the record.
        row_id: The id of the record.
        operation: `insert` or `update`.
        conversation_id: The conversation it belongs to.
        user_id: Whose that conversation is; None is nobody's.
        payload: The whole record to insert, or what an update changes.
    """

    position: int
    table: str
    row_id: UUID
    operation: str
    conversation_id: UUID | None
    user_id: str | None
    payload: JsonObject


@dataclass(frozen=True)
class Listed:
    """An entry as a list shows it, without what was said. `reason` is None while it waits."""

    position: int
    table: str
    row_id: UUID
    operation: str
    conversation_id: UUID | None
    created_at: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Counts:
    """How many entries wait, and how many were refused for good."""

    pending: int
    set_aside: int


def enqueue(
    connection: sqlite3.Connection,
    *,
    table: str,
    row_id: str,
    operation: str,
    payload: str,
    conversation_id: str | None,
) -> None:
    """Put one change in the outbox.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    now = sql_time(utc_now())
    connection.execute(_ENQUEUE, (table, row_id, operation, payload, now, conversation_id))


def adopt(connection: sqlite3.Connection, conversation_id: str) -> None:
    """Put in the outbox what is kept of a conversation and never was in it.

    That is so for what was written before there was somewhere to ship to. A conversation that
    goes on afterwards is shipped whole, since its new rows refer to the old ones.

    Raises:
        sqlite3.Error: It cannot be read or written.
    """
    known = connection.execute(
        "SELECT shipping FROM conversations WHERE id = ?", (conversation_id,)
    ).fetchone()
    if known is None or known["shipping"] != NEVER_SHIPPED:
        return
    now = sql_time(utc_now())
    for record in _RECORDS:
        key = "id" if record is Conversation else "conversation_id"
        which = f"WHERE {key} = :id AND shipping = {NEVER_SHIPPED}"
        connection.execute(
            "INSERT INTO outbox"  # noqa: S608  # names of ours
            " (table_name, row_id, operation, payload, created_at, conversation_id)"
            f" SELECT '{record.table}', id, 'insert', {as_payload(record)}, :now, :id"
            f" FROM {record.table} {which} ORDER BY {_ORDERS[record.table]}",
            {"id": conversation_id, "now": now},
        )
        connection.execute(
            f"UPDATE {record.table} SET shipping = {SHIPPING} {which}",  # noqa: S608  # names of ours
            {"id": conversation_id},
        )


def disown(connection: sqlite3.Connection, conversation_id: str) -> None:
    """Note that something was written of a conversation, and not put in the outbox.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    connection.execute(
        "UPDATE conversations SET shipping = ? WHERE id = ? AND shipping = ?",
        (NEVER_SHIPPED, conversation_id, SHIPPING),
    )


def read_batch(connection: sqlite3.Connection, limit: int) -> tuple[Entry, ...]:
    """What `Outbox.batch` gives.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    entries: list[Entry] = []
    size = 0
    for row in connection.execute(_BATCH, (limit,)):
        size += len(row["payload"])
        if entries and size > _BATCH_BYTES:
            break
        entries.append(to_entry(row))
    return tuple(entries)


def retry_entries(connection: sqlite3.Connection, position: int | None) -> int:
    """Put back one entry that was set aside, or all. Gives how many.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    moved = connection.execute(
        f"INSERT INTO outbox ({COLUMNS}) SELECT {COLUMNS} FROM set_aside"  # noqa: S608  # names of ours
        " WHERE ?1 IS NULL OR position = ?1",
        (position,),
    ).rowcount
    connection.execute("DELETE FROM set_aside WHERE ?1 IS NULL OR position = ?1", (position,))
    return moved


def discard_entry(connection: sqlite3.Connection, position: int) -> bool:
    """Forget an entry that was set aside. Its record is never pruned. Gives whether it was there.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    entry = connection.execute(
        "DELETE FROM set_aside WHERE position = ? RETURNING table_name, row_id", (position,)
    ).fetchone()
    if entry is None:
        return False
    connection.execute(
        f"UPDATE {entry['table_name']} SET shipping = ? WHERE id = ?",  # noqa: S608  # ours
        (GIVEN_UP, entry["row_id"]),
    )
    return True


def as_payload(record: type[Record]) -> str:
    """The SQL of a row as `writes.py` writes the payload of a record."""
    parts: list[str] = []
    for name, field in sorted(record.model_fields.items()):
        value = name
        if name in _JSON_FIELDS:
            value = f"json({name})"
        elif field.annotation is bool:
            value = f"json(iif({name}, 'true', 'false'))"
        parts.append(f"'{name}', {value}")
    return f"json_object({', '.join(parts)})"


def sql_time(moment: datetime) -> str:
    """A moment as the journal writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def to_entry(row: sqlite3.Row) -> Entry:
    """The entry that a row with its `user_id` is."""
    return Entry(
        position=row["position"],
        table=row["table_name"],
        row_id=UUID(row["row_id"]),
        operation=row["operation"],
        conversation_id=_uuid(row["conversation_id"]),
        user_id=row["user_id"],
        payload=json.loads(row["payload"]),
    )


def to_listed(row: sqlite3.Row) -> Listed:
    """The entry that a row with its `reason` is, for a list."""
    return Listed(
        position=row["position"],
        table=row["table_name"],
        row_id=UUID(row["row_id"]),
        operation=row["operation"],
        conversation_id=_uuid(row["conversation_id"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        reason=row["reason"],
    )


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
