"""The journal's rows of one person: how many there are in each table, and their deletion.

Every function here runs within a transaction of the journal.
"""

import json
import sqlite3
from collections.abc import Collection, Set
from dataclasses import dataclass
from uuid import UUID

_THEIRS = """(
    SELECT id FROM conversations
    WHERE user_id = :user_id OR id IN (SELECT value FROM json_each(:ids))
)"""
_WAITING = f"""
    conversation_id IN {_THEIRS}
    OR json_extract(payload, '$.user_id') = :user_id
    OR row_id IN (SELECT id FROM memories WHERE user_id = :user_id)
"""  # noqa: S608  # names of ours
_SPECIAL = {
    "conversations": f"id IN {_THEIRS}",
    "outbox": _WAITING,
    "set_aside": _WAITING,
    "provisional": f"user_id = :user_id OR conversation_id IN {_THEIRS} OR kept_as IN {_THEIRS}",
}
"""Which rows of these tables are a person's. Of any other table: those with the person's `user_id`,
or else those that refer to one of their conversations."""

_TABLES = """
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""
_SHIPPED = "DELETE FROM shipped WHERE row_id IN (SELECT id FROM {table} WHERE {which})"
_CALLS = f"""
    SELECT conversation_id, id FROM sessions
    WHERE conversation_id IN {_THEIRS} AND ended_at IS NULL
    AND process_id IN (SELECT value FROM json_each(:living))
"""  # noqa: S608  # names of ours
_KNOWN = "SELECT id FROM sessions WHERE id IN (SELECT value FROM json_each(:ids))"


@dataclass(frozen=True)
class WhoseRows:
    """Whose rows are meant.

    Parameters:
        user_id: The person.
        conversation_ids: Conversations that are theirs as well, as Supabase says: the journal may
            have another owner of them, or none.
    """

    user_id: str
    conversation_ids: Collection[UUID] = ()

    @property
    def values(self) -> dict[str, str]:
        """What the statements' names stand for."""
        return {"user_id": self.user_id, "ids": _as_list(self.conversation_ids)}


def count_rows(connection: sqlite3.Connection, whose: WhoseRows) -> dict[str, int]:
    """How many rows of a person each table has. Tables with none are left out.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    counts: dict[str, int] = {}
    for table, which in _conditions(connection).items():
        row = connection.execute(
            f"SELECT count(*) FROM {table} WHERE {which}",  # noqa: S608  # names of ours
            whose.values,
        ).fetchone()
        if row[0]:
            counts[table] = row[0]
    return counts


def delete_rows(connection: sqlite3.Connection, whose: WhoseRows) -> dict[str, int]:
    """Delete every row of a person. Gives how many went from each table.

    Raises:
        sqlite3.Error: They cannot be deleted.
    """
    counts = count_rows(connection, whose)
    conditions = _conditions(connection)
    for table, which in conditions.items():
        if _has(connection, table, "id"):
            connection.execute(_SHIPPED.format(table=table, which=which), whose.values)
    # What waits is found by the conversations and the memories, and so goes before them.
    order = sorted(conditions, key=lambda table: (table == "conversations", table == "memories"))
    for table in order:
        connection.execute(
            f"DELETE FROM {table} WHERE {conditions[table]}",  # noqa: S608  # names of ours
            whose.values,
        )
    return counts


def calls_of(connection: sqlite3.Connection, living: Set[UUID], whose: WhoseRows) -> Set[UUID]:
    """The sessions of a person that a process of this machine holds.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    values = whose.values | {"living": _as_list(living)}
    return {UUID(row["id"]) for row in connection.execute(_CALLS, values)}


def conversations_of(connection: sqlite3.Connection, whose: WhoseRows) -> Set[UUID]:
    """A person's conversations, those that Supabase gave among them.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    rows = connection.execute(f"SELECT id FROM conversations WHERE id IN {_THEIRS}", whose.values)  # noqa: S608  # names of ours
    return {UUID(row["id"]) for row in rows} | set(whose.conversation_ids)


def known_sessions(connection: sqlite3.Connection, session_ids: Collection[UUID]) -> Set[UUID]:
    """Those of `session_ids` that this journal has.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    values = {"ids": _as_list(session_ids)}
    return {UUID(row["id"]) for row in connection.execute(_KNOWN, values)}


def _conditions(connection: sqlite3.Connection) -> dict[str, str]:
    """For each table that has rows of people, which are the person's."""
    conditions: dict[str, str] = {}
    for (table,) in connection.execute(_TABLES).fetchall():
        if table in _SPECIAL:
            conditions[table] = _SPECIAL[table]
        elif _has(connection, table, "user_id"):
            conditions[table] = "user_id = :user_id"
        elif column := _conversation_in(connection, table):
            conditions[table] = f"{column} IN {_THEIRS}"
    return conditions


def _conversation_in(connection: sqlite3.Connection, table: str) -> str | None:
    """The column by which a row of `table` names its conversation; None where it names none."""
    for key in connection.execute(f"PRAGMA foreign_key_list({table})"):
        if key["table"] == "conversations":
            return key["from"]
    return "conversation_id" if _has(connection, table, "conversation_id") else None


def _has(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return any(row["name"] == column for row in connection.execute(f"PRAGMA table_info({table})"))


def _as_list(ids: Collection[UUID]) -> str:
    return json.dumps([str(each) for each in ids])
