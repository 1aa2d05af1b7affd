"""The journal's rows of what the model was asked. They are never shipped.

The texts of the first messages of a request are mostly those of the request before: a row has only
from where on they differ.
"""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sonora_app.storage.journal.database import Transact
from sonora_app.storage.journal.outbox_rows import sql_time
from sonora_app.storage.requests import KeptRequest, ModelRequest, Requests, name_of

SCHEMA = (
    """
    CREATE TABLE requests (
        id TEXT PRIMARY KEY NOT NULL,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        session_id TEXT NOT NULL,
        node TEXT NOT NULL,
        model TEXT NOT NULL,
        aside INTEGER NOT NULL,
        asked_at TEXT NOT NULL,
        shared INTEGER NOT NULL,
        messages TEXT NOT NULL,
        tools TEXT NOT NULL
    )
    """,
    "CREATE INDEX requests_of_conversation ON requests (conversation_id, session_id, id)",
    """
    CREATE TABLE request_texts (
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (conversation_id, name)
    ) WITHOUT ROWID
    """,
)
"""Makes the tables."""

_PLACE = """
    SELECT coalesce(
        (SELECT kept_as FROM provisional WHERE conversation_id = :id AND kept_as IS NOT NULL), :id
    )
"""
# A conversation that was erased meanwhile gets nothing more.
_INSERT = """
    INSERT INTO requests (
        id, conversation_id, session_id, node, model, aside, asked_at, shared, messages, tools
    )
    SELECT :id, id, :session_id, :node, :model, :aside, :asked_at, :shared, :messages, :tools
    FROM conversations WHERE id = :conversation_id
    ON CONFLICT (id) DO NOTHING
"""
_INSERT_TEXT = """
    INSERT INTO request_texts (conversation_id, name, text) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_OF_CALL = """
    SELECT shared, messages FROM requests
    WHERE conversation_id = :conversation_id AND session_id = :session_id ORDER BY id
"""
_OLD = """
    SELECT conversation_id FROM requests GROUP BY conversation_id
    ORDER BY max(id) DESC LIMIT -1 OFFSET :conversations
"""
FORGET = tuple(
    f"DELETE FROM {table} WHERE conversation_id IN"  # noqa: S608  # ours
    " (SELECT id FROM conversations WHERE user_id = :user_id)"
    for table in ("requests", "request_texts")
)
"""Deletes what was asked in all conversations of `user_id`: what is forgotten may stand there."""


class JournalRequests:
    """A `RequestKeeping` in the journal.

    Args:
        transact: Runs work on the journal's thread, in one transaction.
    """

    def __init__(self, transact: Transact) -> None:
        """Nothing is read or written yet."""
        self._transact = transact

    async def keep(self, request: ModelRequest, *, conversations: int) -> None:
        """See `RequestKeeping.keep`."""
        await self._transact(lambda rows: _keep(rows, request, conversations), write=True)

    async def of(self, conversation_id: UUID) -> Requests:
        """See `RequestKeeping.of`."""
        return await self._transact(lambda rows: _read(rows, conversation_id), write=False)


def _keep(connection: sqlite3.Connection, request: ModelRequest, conversations: int) -> None:
    place = connection.execute(_PLACE, {"id": str(request.conversation_id)}).fetchone()[0]
    call = {"conversation_id": place, "session_id": str(request.session_id)}
    before = _whole(connection.execute(_OF_CALL, call).fetchall())
    names = [name_of(text) for text in request.messages]
    shared = _alike(before[-1], names) if before else 0
    inserted = connection.execute(
        _INSERT,
        {
            **call,
            "id": str(request.id),
            "node": request.node,
            "model": request.model,
            "aside": request.aside,
            "asked_at": sql_time(request.asked_at),
            "shared": shared,
            "messages": json.dumps(names[shared:]),
            "tools": name_of(request.tools) if request.tools else "",
        },
    ).rowcount
    if inserted != 1:
        return
    texts = [*request.messages[shared:], *([request.tools] if request.tools else [])]
    connection.executemany(_INSERT_TEXT, [(place, name_of(text), text) for text in texts])
    if not before:
        _forget_old(connection, conversations)


def _forget_old(connection: sqlite3.Connection, conversations: int) -> None:
    old = [row[0] for row in connection.execute(_OLD, {"conversations": conversations})]
    for table in ("requests", "request_texts"):
        connection.executemany(
            f"DELETE FROM {table} WHERE conversation_id = ?",  # noqa: S608  # ours
            [(each,) for each in old],
        )


def _read(connection: sqlite3.Connection, conversation_id: UUID) -> Requests:
    key = (str(conversation_id),)
    rows = connection.execute(
        "SELECT * FROM requests WHERE conversation_id = ? ORDER BY session_id, id", key
    ).fetchall()
    kept: list[KeptRequest] = []
    for session_id in dict.fromkeys(row["session_id"] for row in rows):
        own = [row for row in rows if row["session_id"] == session_id]
        for row, names in zip(own, _whole(own), strict=True):
            kept.append(
                KeptRequest(
                    id=UUID(row["id"]),
                    session_id=UUID(session_id),
                    node=row["node"],
                    model=row["model"],
                    aside=bool(row["aside"]),
                    asked_at=datetime.fromisoformat(row["asked_at"]),
                    messages=tuple(names),
                    tools=row["tools"],
                )
            )
    texts = connection.execute(
        "SELECT name, text FROM request_texts WHERE conversation_id = ?", key
    )
    kept.sort(key=lambda each: each.id)
    return Requests(kept, {row["name"]: row["text"] for row in texts})


def _alike(before: Sequence[str], now: Sequence[str]) -> int:
    """How many of the first are the same in both."""
    pairs = enumerate(zip(before, now, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(before), len(now)))


def _whole(rows: Sequence[sqlite3.Row]) -> list[list[str]]:
    """The names of all messages of each of a call's requests."""
    whole: list[list[str]] = []
    for row in rows:
        before = whole[-1] if whole else []
        whole.append([*before[: row["shared"]], *json.loads(row["messages"])])
    return whole
