"""Removes from the journal what is old, also stored in Supabase, and no longer to be reported."""

import sqlite3
from datetime import datetime

from sonora_app.storage.journal.outbox_rows import sql_time

_PRUNED_AT_ONCE = 50
"""Calls or conversations removed in one transaction: writers wait for it."""

# All of it is stored elsewhere. The conditions on whole conversations are simple and
# strict: with anything of one waiting or set aside, nothing of it goes.
_STORED = """
    {table}.shipping = 1
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.conversation_id = {conversation})
    AND NOT EXISTS (SELECT 1 FROM set_aside WHERE set_aside.conversation_id = {conversation})
    AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.{key} = {table}.id
        AND messages.shipping <> 1)
    AND NOT EXISTS (SELECT 1 FROM transitions WHERE transitions.{key} = {table}.id
        AND transitions.shipping <> 1)
    AND NOT EXISTS (SELECT 1 FROM tool_calls WHERE tool_calls.{key} = {table}.id
        AND tool_calls.shipping <> 1)
    AND NOT EXISTS (SELECT 1 FROM reports_due JOIN sessions AS call ON call.id = session_id
        WHERE call.{call} = {table}.id AND due_at IS NOT NULL)
"""
_OLD_CONVERSATIONS = f"""
    SELECT id FROM conversations
    WHERE max(updated_at, coalesce(last_message_at, updated_at)) < :before
    AND {
    _STORED.format(
        table="conversations",
        conversation="conversations.id",
        key="conversation_id",
        call="conversation_id",
    )
}
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.conversation_id = conversations.id
        AND (sessions.ended_at IS NULL OR sessions.ended_at >= :before OR sessions.shipping <> 1))
    LIMIT :limit
"""  # noqa: S608  # names of ours
_OLD_SESSIONS = f"""
    SELECT id FROM sessions
    WHERE ended_at < :before
    AND {
    _STORED.format(
        table="sessions", conversation="sessions.conversation_id", key="session_id", call="id"
    )
}
    AND EXISTS (SELECT 1 FROM sessions AS later
        WHERE later.conversation_id = sessions.conversation_id
        AND (later.started_at, later.id) > (sessions.started_at, sessions.id))
    LIMIT :limit
"""  # noqa: S608  # names of ours

# Of what outlasts the conversation in the journal.
_OLD_BY_ITSELF = """
    SELECT id FROM {table}
    WHERE created_at < :before AND shipping = 1
    AND NOT EXISTS (SELECT 1 FROM outbox
        WHERE outbox.table_name = '{table}' AND outbox.row_id = {table}.id)
    AND NOT EXISTS (SELECT 1 FROM set_aside
        WHERE set_aside.table_name = '{table}' AND set_aside.row_id = {table}.id)
    LIMIT :limit
"""


def prune_some(connection: sqlite3.Connection, before: datetime) -> int:
    """Remove some of what `Outbox.prune` removes. Gives how many, 0 when there is no more.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    values = {"before": sql_time(before), "limit": _PRUNED_AT_ONCE}
    for table, query in (
        ("conversations", _OLD_CONVERSATIONS),
        ("sessions", _OLD_SESSIONS),
        ("memories", _OLD_BY_ITSELF.format(table="memories")),
        ("labels", _OLD_BY_ITSELF.format(table="labels")),
    ):
        # What belongs to one goes with it.
        removed = connection.execute(
            f"DELETE FROM {table} WHERE id IN ({query})",  # noqa: S608  # names of ours
            values,
        ).rowcount
        if removed:
            return removed
    return 0
