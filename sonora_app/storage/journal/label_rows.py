"""The journal's rows of labels. All of it runs within a transaction.

A label may stand in a conversation that this journal does not have: in one of another machine, or
one that was pruned here.
"""

import sqlite3
from collections.abc import Mapping

SCHEMA = (
    """
    CREATE TABLE labels (
        id TEXT PRIMARY KEY NOT NULL,
        conversation_id TEXT NOT NULL,
        session_id TEXT,
        message_id TEXT,
        name TEXT NOT NULL,
        note TEXT,
        created_at TEXT NOT NULL,
        removed_at TEXT,
        shipping INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX labels_of_conversation ON labels (conversation_id, created_at, id)",
    "CREATE INDEX labels_by_name ON labels (name, conversation_id) WHERE removed_at IS NULL",
)
"""Makes the table, which names no conversation that would have to be there."""

INSERT = """
    INSERT INTO labels (
        id, conversation_id, session_id, message_id, name, note, created_at, removed_at, shipping
    ) VALUES (
        :id, :conversation_id, :session_id, :message_id, :name, :note, :created_at, :removed_at,
        :shipping
    ) ON CONFLICT (id) DO NOTHING
"""
_REMOVE = """
    UPDATE labels SET removed_at = :removed_at, name = '', note = NULL
    WHERE id = :id AND removed_at IS NULL
"""
# What waits to be shipped of it has no words either.
_UNSAY = tuple(
    f"UPDATE {table} SET payload = json_set(payload, '$.name', '', '$.note', NULL)"  # noqa: S608  # ours
    " WHERE table_name = 'labels' AND row_id = :id AND operation = 'insert'"
    for table in ("outbox", "set_aside")
)


def may_stand(connection: sqlite3.Connection, row: Mapping[str, object]) -> bool:
    """Whether the conversation that a label names is kept here.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    kept = connection.execute("SELECT 1 FROM conversations WHERE id = :conversation_id", row)
    return kept.fetchone() is not None


def remove_label(connection: sqlite3.Connection, row: Mapping[str, object]) -> bool | None:
    """Take a label away. Gives whether it changed something; None: it is not kept here.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    if connection.execute(_REMOVE, row).rowcount == 1:
        for statement in _UNSAY:
            connection.execute(statement, row)
        return True
    kept = connection.execute("SELECT 1 FROM labels WHERE id = :id", row).fetchone()
    return False if kept else None
