"""The journal's rows of where conversations stand. All of it runs within a transaction."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sonora_app.storage.journal.as_records import to_record
from sonora_app.storage.positions import Position, Standing
from sonora_app.storage.records import EndReason

_WRITE = """
    INSERT INTO positions (conversation_id, session_id, node, state, saying, updated_at)
    VALUES (:conversation_id, :session_id, :node, :state, :saying, :updated_at)
    ON CONFLICT (conversation_id) DO UPDATE SET
        session_id = excluded.session_id,
        node = excluded.node,
        state = excluded.state,
        saying = excluded.saying,
        updated_at = excluded.updated_at
    WHERE (excluded.session_id, excluded.updated_at) > (positions.session_id, positions.updated_at)
"""
_STANDING = """
    SELECT positions.*, sessions.ended_at, sessions.end_reason
    FROM positions LEFT JOIN sessions ON sessions.id = positions.session_id
    WHERE positions.conversation_id = ?
"""
_HOLDER = """
    SELECT max(session_id, coalesce(claimed_by, session_id)) AS holder
    FROM positions WHERE conversation_id = coalesce(
        (SELECT kept_as FROM provisional WHERE conversation_id = :id), :id
    )
"""
_FORMER = """
    SELECT sessions.id, sessions.process_id
    FROM positions JOIN sessions ON sessions.id = positions.session_id
    WHERE positions.conversation_id = :id AND sessions.ended_at IS NULL
        AND sessions.id < :session_id
"""
_CLAIM = """
    UPDATE positions SET claimed_by = :session_id
    WHERE conversation_id = :id AND max(session_id, coalesce(claimed_by, '')) < :session_id
"""


@dataclass(frozen=True)
class Former:
    """A call that held a conversation and has not ended, and its process."""

    session_id: UUID
    process_id: UUID


def write_position(connection: sqlite3.Connection, row: Mapping[str, object]) -> bool:
    """Write a position, unless a later one is kept. Gives whether it changed something.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    return connection.execute(_WRITE, row).rowcount == 1


def is_superseded(
    connection: sqlite3.Connection, conversation_id: str, session_id: UUID | None
) -> bool:
    """Whether a later call than `session_id` holds a conversation. None is of no call.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    if session_id is None:
        return False
    holder = read_holder(connection, conversation_id)
    return holder is not None and holder > session_id


def read_holder(connection: sqlite3.Connection, conversation_id: str) -> UUID | None:
    """The call that holds a conversation; None where none ever did.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    row = connection.execute(_HOLDER, {"id": conversation_id}).fetchone()
    return UUID(row["holder"]) if row else None


def read_standing(connection: sqlite3.Connection, conversation_id: str) -> Standing | None:
    """Where a conversation stands; None where that was never kept.

    Raises:
        sqlite3.Error: It cannot be read.
        ValueError: What is kept is of another shape.
    """
    row = connection.execute(_STANDING, (conversation_id,)).fetchone()
    if row is None:
        return None
    return Standing(
        to_record(Position, row),
        datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        EndReason(row["end_reason"]) if row["end_reason"] else None,
    )


def claim(connection: sqlite3.Connection, conversation_id: UUID, session_id: UUID) -> Former | None:
    """Have a call hold a conversation, unless a later one does. Gives the call that held it.

    Raises:
        sqlite3.Error: It cannot be read or written.
    """
    key = {"id": str(conversation_id), "session_id": str(session_id)}
    former = connection.execute(_FORMER, key).fetchone()
    connection.execute(_CLAIM, key)
    return Former(UUID(former["id"]), UUID(former["process_id"])) if former else None


def has_ended(connection: sqlite3.Connection, session_id: UUID) -> bool:
    """Whether the end of a call is kept.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    row = connection.execute(
        "SELECT 1 FROM sessions WHERE id = ? AND ended_at IS NULL", (str(session_id),)
    ).fetchone()
    return row is None
