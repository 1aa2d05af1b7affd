"""What a process began and died before it could end: its calls, and those of tools in them.

Nobody can say whether such a call of a tool was executed, so it ends as unknown.
"""

import sqlite3
from collections.abc import Iterator, Set
from dataclasses import dataclass
from uuid import UUID

from sonora_app.storage.journal.outbox_rows import NEVER_SHIPPED
from sonora_app.storage.records import (
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    Record,
    SessionUpdate,
    utc_now,
)
from sonora_app.storage.tool_calls import ToolCallUpdate, ToolStatus

# A session without messages ended when it began, as far as anyone can tell.
_UNENDED_SESSIONS = """
    SELECT sessions.id, sessions.conversation_id, sessions.process_id, conversations.status,
        conversations.shipping,
        max(
            sessions.started_at,
            coalesce(
                (SELECT max(created_at) FROM messages WHERE session_id = sessions.id),
                sessions.started_at
            )
        ) AS last_seen_at
    FROM sessions JOIN conversations ON conversations.id = sessions.conversation_id
    WHERE sessions.ended_at IS NULL
    ORDER BY sessions.started_at, sessions.id
"""
# Of calls that did end, too: their process may have died just after.
_STARTED_TOOLS = """
    SELECT tool_calls.id, tool_calls.conversation_id, sessions.process_id, conversations.shipping
    FROM tool_calls
        JOIN sessions ON sessions.id = tool_calls.session_id
        JOIN conversations ON conversations.id = tool_calls.conversation_id
    WHERE tool_calls.status = 'started'
    ORDER BY tool_calls.started_at, tool_calls.id
"""


@dataclass(frozen=True)
class Orphans:
    """What was found.

    Parameters:
        session_ids: The sessions, the one that began first first.
        records: What ends them and their tools' calls, in order, each with whether it is to be
            shipped: not where its conversation never was, since nobody asked for that.
    """

    session_ids: list[UUID]
    records: list[tuple[Record, bool]]


def find_orphans(connection: sqlite3.Connection, living: Set[UUID]) -> Orphans:
    """Find the sessions of dead processes, within the caller's transaction.

    Args:
        connection: The journal.
        living: The processes that live.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    alive = {str(process_id) for process_id in living}
    unended = connection.execute(_UNENDED_SESSIONS).fetchall()
    orphans = [row for row in unended if row["process_id"] not in alive]
    in_use = {row["conversation_id"] for row in unended if row["process_id"] in alive}
    ships = {row["conversation_id"]: row["shipping"] != NEVER_SHIPPED for row in orphans}
    latest = {row["conversation_id"]: row["id"] for row in orphans}
    failed = {
        row["conversation_id"] for row in orphans if row["status"] == ConversationStatus.ACTIVE
    } - in_use
    records: list[tuple[Record, bool]] = [
        (
            SessionUpdate.model_validate(
                {
                    "id": row["id"],
                    "ended_at": row["last_seen_at"],
                    "end_reason": EndReason.CRASHED,
                }
            ),
            ships[row["conversation_id"]],
        )
        for row in orphans
    ]
    records += [
        (
            ConversationUpdate(
                id=UUID(conversation_id),
                status=EndReason.CRASHED.status,
                session_id=UUID(latest[conversation_id]),
                updated_at=utc_now(),
            ),
            ships[conversation_id],
        )
        for conversation_id in sorted(failed)
    ]
    records += _unknown_tools(connection, alive)
    return Orphans([UUID(row["id"]) for row in orphans], records)


def _unknown_tools(
    connection: sqlite3.Connection, alive: Set[str]
) -> Iterator[tuple[Record, bool]]:
    now = utc_now()
    for row in connection.execute(_STARTED_TOOLS).fetchall():
        if row["process_id"] not in alive:
            ended = ToolCallUpdate(
                id=UUID(row["id"]),
                conversation_id=UUID(row["conversation_id"]),
                status=ToolStatus.UNKNOWN,
                ended_at=now,
            )
            yield ended, row["shipping"] != NEVER_SHIPPED
