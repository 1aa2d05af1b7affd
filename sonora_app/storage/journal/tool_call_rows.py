"""The journal's rows of the calls of tools. All of it runs within a transaction."""

import sqlite3
from collections.abc import Mapping

INSERT = """
    INSERT INTO tool_calls (
        id, conversation_id, session_id, message_id, name, arguments, status, result,
        idempotency_key, started_at, ended_at, shipping
    ) VALUES (
        :id, :conversation_id, :session_id, :message_id, :name, :arguments, :status, :result,
        :idempotency_key, :started_at, :ended_at, :shipping
    ) ON CONFLICT (id) DO NOTHING
"""
# The first end counts; what was unknown may be learned later.
_END = """
    UPDATE tool_calls SET
        status = :status,
        result = coalesce(:result, result),
        message_id = coalesce(:message_id, message_id),
        ended_at = :ended_at
    WHERE id = :id AND (status = 'started' OR status = 'unknown' AND :status <> 'unknown')
"""


def end_tool_call(connection: sqlite3.Connection, row: Mapping[str, object]) -> bool | None:
    """Write the end of a call of a tool. Gives whether it changed something; None: it is not kept.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    if connection.execute(_END, row).rowcount == 1:
        return True
    kept = connection.execute("SELECT 1 FROM tool_calls WHERE id = :id", row).fetchone()
    return False if kept else None
