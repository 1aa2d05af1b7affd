"""What the journal remembers about people: how its rows are written and read.

Every function here runs within a transaction of the journal.
"""

import json
import sqlite3
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from sonora_app.storage.journal.as_records import from_json, to_record
from sonora_app.storage.journal.outbox_rows import (
    NEVER_SHIPPED,
    SHIPPING,
    as_payload,
    enqueue,
    sql_time,
)
from sonora_app.storage.journal.request_rows import FORGET as FORGET_REQUESTS
from sonora_app.storage.memory_changes import Wanted, news
from sonora_app.storage.records import AnyMemory, Memory, MemoryChoice, MemoryUpdate, utc_now
from sonora_app.storage.similar_words import loose_pattern, most_alike
from sonora_app.storage.store import Known, Recall

_INSERTS: dict[type[Memory] | type[MemoryChoice], str] = {
    Memory: """
        INSERT INTO memories (
            id, user_id, content, source_message_id, conversation_id, created_at, valid_until,
            replaced_by, forgotten_at, metadata, shipping
        ) VALUES (
            :id, :user_id, :content, :source_message_id, :conversation_id, :created_at,
            :valid_until, :replaced_by, :forgotten_at, :metadata, :shipping
        ) ON CONFLICT (id) DO NOTHING
    """,
    MemoryChoice: """
        INSERT INTO memory_choices (id, user_id, remembers, created_at, shipping)
        VALUES (:id, :user_id, :remembers, :created_at, :shipping)
        ON CONFLICT (id) DO NOTHING
    """,
}
_UPDATE = """
    UPDATE memories SET
        valid_until = min(coalesce(valid_until, :valid_until), coalesce(:valid_until, valid_until)),
        replaced_by = coalesce(replaced_by, :replaced_by),
        forgotten_at = coalesce(forgotten_at, :forgotten_at)
    WHERE id = :id AND user_id = :user_id AND (
        (:valid_until IS NOT NULL AND (valid_until IS NULL OR valid_until > :valid_until))
        OR (replaced_by IS NULL AND :replaced_by IS NOT NULL)
        OR (forgotten_at IS NULL AND :forgotten_at IS NOT NULL)
    )
"""
_FORGET = (
    # What sums up the conversation that it was learned in tells it too.
    "UPDATE conversations SET summary = NULL, title = NULL,"
    " metadata = json_remove(metadata, '$.topics') WHERE :replaced_by IS NULL"
    " AND id = (SELECT conversation_id FROM memories WHERE id = :id AND user_id = :user_id)",
    "UPDATE memories SET content = '', metadata = '{}', source_message_id = NULL,"
    " conversation_id = NULL WHERE id = :id AND user_id = :user_id",
    # The model may have been told it in any of their calls.
    *FORGET_REQUESTS,
    # What waits to be shipped of it must not tell it either.
    *(
        f"UPDATE {table} SET payload = json_set(payload, '$.content', '', '$.metadata',"  # noqa: S608  # ours
        " json('{}'), '$.source_message_id', NULL, '$.conversation_id', NULL)"
        " WHERE table_name = 'memories' AND row_id = :id AND operation = 'insert'"
        for table in ("outbox", "set_aside")
    ),
)
_HOLDS = (
    "forgotten_at IS NULL AND replaced_by IS NULL AND (valid_until IS NULL OR valid_until > :now)"
)
_ADOPTED = f"shipping = {NEVER_SHIPPED} AND user_id = :user_id"
_ADOPT = (
    *(
        "INSERT INTO outbox (table_name, row_id, operation, payload, created_at)"  # noqa: S608  # ours
        f" SELECT '{record.table}', id, 'insert', {as_payload(record)}, :now FROM {record.table}"
        f" WHERE {_ADOPTED} ORDER BY created_at, id"
        for record in (Memory, MemoryChoice)
    ),
    # One that was shipped before ended meanwhile.
    "INSERT INTO outbox (table_name, row_id, operation, payload, created_at)"  # noqa: S608  # ours
    f" SELECT 'memories', id, 'update', {as_payload(MemoryUpdate)}, :now FROM memories"
    f" WHERE {_ADOPTED} AND coalesce(valid_until, replaced_by, forgotten_at) IS NOT NULL",
    *(
        f"UPDATE {table} SET shipping = {SHIPPING} WHERE {_ADOPTED}"  # noqa: S608  # ours
        for table in ("memories", "memory_choices")
    ),
)
_JSON = as_payload(Memory).replace(
    "json(metadata)", "json(iif(json_valid(metadata), metadata, json_object()))"
)
_MEMORIES = f"""
    SELECT {_JSON} AS memory, shipping <> 1
        OR EXISTS (SELECT 1 FROM outbox WHERE table_name = 'memories' AND row_id = memories.id)
        OR EXISTS (SELECT 1 FROM set_aside WHERE table_name = 'memories' AND row_id = memories.id)
        AS only_here
    FROM memories WHERE user_id = :user_id AND {{which}}
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""  # noqa: S608  # names of ours
_IDS = "SELECT value FROM json_each(:known)"
_ENDED_OF = f"""
    SELECT {_JSON} AS memory FROM memories WHERE +user_id = :user_id AND id IN (
        SELECT id FROM memories WHERE id IN ({_IDS}) AND NOT ({_HOLDS})
        UNION SELECT replaced_by FROM memories WHERE id IN ({_IDS})
    )
"""  # noqa: S608  # names of ours
_WRITTEN_SINCE = f"""
    SELECT {_JSON} AS memory FROM memories
    WHERE user_id = :user_id AND created_at >= :since AND {_HOLDS}
"""  # noqa: S608  # names of ours
_CHOSEN = """
    SELECT * FROM memory_choices WHERE user_id = :user_id
    ORDER BY created_at DESC, id DESC LIMIT 1
"""
_READ_AT_ONCE = TypeAdapter(list[Memory])
"""Reads all memories of an answer at once, which takes a third of the time."""
_ENDED = f"""
    SELECT DISTINCT outbox.row_id
    FROM outbox LEFT JOIN memories ON memories.id = outbox.row_id
    WHERE outbox.table_name = 'memories' AND outbox.operation = 'update'
    AND json_extract(outbox.payload, '$.user_id') = :user_id
    AND (memories.id IS NULL OR NOT ({_HOLDS}))
"""  # noqa: S608  # names of ours
_LOOKED_THROUGH = 20_000
"""How many memories of a person are looked through for a word, the latest first."""


def write_memory(
    connection: sqlite3.Connection,
    record: AnyMemory,
    row: dict[str, Any],
    payload: str,
    *,
    outbox: bool,
) -> bool:
    """Write what is remembered of a person, or its end. Again changes nothing.

    A memory that this journal does not have may be kept elsewhere: its end is put in the outbox.

    Args:
        connection: The journal, in a transaction.
        record: What to write.
        row: Its values as SQLite takes them.
        payload: The record as JSON.
        outbox: Whether what changes something is also put in the outbox.

    Returns:
        Whether it was put in the outbox.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    if outbox:
        _adopt(connection, record.user_id)
    if isinstance(record, MemoryUpdate):
        changed = connection.execute(_UPDATE, row).rowcount == 1
        if changed and record.forgotten_at is not None:
            for statement in _FORGET:
                connection.execute(statement, row)
        known = connection.execute("SELECT 1 FROM memories WHERE id = :id", row).fetchone()
        if not changed and (known or not outbox):
            return False
    else:
        row["shipping"] = SHIPPING if outbox else NEVER_SHIPPED
        if connection.execute(_INSERTS[type(record)], row).rowcount != 1:
            return False
    if not outbox:
        if isinstance(record, MemoryUpdate):
            connection.execute(
                "UPDATE memories SET shipping = ? WHERE id = ?", (NEVER_SHIPPED, row["id"])
            )
        return False
    enqueue(
        connection,
        table=record.table,
        row_id=str(record.id),
        operation="update" if isinstance(record, MemoryUpdate) else "insert",
        payload=payload,
        conversation_id=_held_by(connection, record),
    )
    return True


def read_known(connection: sqlite3.Connection, user_id: str, recall: Recall) -> Known:
    """What `Store.known` gives, within the caller's transaction.

    What it costs does not grow with how much is remembered, unless it is looked through for words.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    if recall.limit <= 0:
        return Known()
    values = {"user_id": user_id, "now": sql_time(utc_now())}
    rows = _rows(connection, values, recall)
    read = from_json(_READ_AT_ONCE, [row["memory"] for row in rows])
    memories = [memory for memory in read if memory is not None]
    if recall.words:
        memories = most_alike(memories, recall.words, recall.limit + 1)
    choice = connection.execute(_CHOSEN, values).fetchone()
    return Known(
        memories=tuple(memories[: recall.limit]),
        more=len(memories) > recall.limit,
        remembers=None if choice is None else bool(choice["remembers"]),
        chosen_at=None if choice is None else datetime.fromisoformat(choice["created_at"]),
        unshipped=frozenset(
            memory.id
            for memory, row in zip(read, rows, strict=True)
            if memory is not None and row["only_here"]
        ),
        ended=frozenset(UUID(row["row_id"]) for row in connection.execute(_ENDED, values)),
    )


def read_news(connection: sqlite3.Connection, wanted: Wanted) -> list[AnyMemory]:
    """What was written of a person, by whatever process. What it costs does not grow with how much
    is remembered.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    values = {
        "user_id": wanted.user_id,
        "now": sql_time(utc_now()),
        "since": sql_time(wanted.since),
        "known": json.dumps([str(each) for each in wanted.known]),
    }
    rows = [
        row["memory"]
        for query in (_ENDED_OF, _WRITTEN_SINCE)
        for row in connection.execute(query, values)
    ]
    read = from_json(_READ_AT_ONCE, rows)
    found: list[AnyMemory] = [*news((each for each in read if each is not None), wanted)]
    choice = connection.execute(_CHOSEN, values).fetchone()
    return found if choice is None else [*found, to_record(MemoryChoice, choice)]


def _rows(
    connection: sqlite3.Connection, values: dict[str, Any], recall: Recall
) -> list[sqlite3.Row]:
    which = "forgotten_at IS NULL" if recall.past else _HOLDS
    limit = recall.limit + 1
    if recall.id is not None:
        which += " AND id = :id"
        values = values | {"id": str(recall.id)}
    if recall.words:
        patterns = {f"word{n}": loose_pattern(word) for n, word in enumerate(recall.words)}
        which += f" AND ({' OR '.join(f'content LIKE :{name}' for name in patterns)})"
        values = values | patterns
        limit = _LOOKED_THROUGH
    return connection.execute(_MEMORIES.format(which=which), values | {"limit": limit}).fetchall()


def _adopt(connection: sqlite3.Connection, user_id: str) -> None:
    """Put in the outbox what is remembered of a person and never was in it."""
    for statement in _ADOPT:
        connection.execute(statement, {"user_id": user_id, "now": sql_time(utc_now())})


def _held_by(connection: sqlite3.Connection, record: AnyMemory) -> str | None:
    """The conversation whose place has to be known before `record` is shipped, if there is one."""
    if isinstance(record, Memory):
        held = connection.execute(
            "SELECT conversation_id FROM provisional WHERE conversation_id = ? AND kept_as IS NULL",
            (str(record.conversation_id),),
        ).fetchone()
    else:
        held = connection.execute(
            "SELECT conversation_id FROM outbox WHERE table_name = 'memories' AND row_id = ?"
            " AND conversation_id IS NOT NULL LIMIT 1",
            (str(record.id),),
        ).fetchone()
    return held["conversation_id"] if held else None
