"""Taking whole conversations out of the journal, for good: what was said, and what waits of it."""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Set
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from sonora_app.storage.journal.database import Transact
from sonora_app.storage.journal.outbox_rows import sql_time

_Result = TypeVar("_Result")

_GIVEN = "(SELECT value FROM json_each(:ids))"

_QUIET = """
    SELECT id FROM conversations
    WHERE coalesce(last_message_at, created_at) < :before AND id > :after
    ORDER BY id LIMIT :limit
"""
_IN_USE = f"""
    SELECT id FROM conversations
    WHERE id IN {_GIVEN} AND (
        coalesce(last_message_at, created_at) >= :since
        OR EXISTS (SELECT 1 FROM sessions WHERE sessions.conversation_id = conversations.id
            AND sessions.ended_at IS NULL
            AND sessions.process_id IN (SELECT value FROM json_each(:living)))
    )
"""  # noqa: S608  # names of ours
_WAITING = f"SELECT DISTINCT conversation_id FROM outbox WHERE conversation_id IN {_GIVEN}"  # noqa: S608
_ERASE = (
    f"DELETE FROM provisional WHERE conversation_id IN {_GIVEN} OR kept_as IN {_GIVEN}",  # noqa: S608
    f"DELETE FROM outbox WHERE conversation_id IN {_GIVEN}",  # noqa: S608
    f"DELETE FROM set_aside WHERE conversation_id IN {_GIVEN}",  # noqa: S608
    # What belongs to one goes with it.
    f"DELETE FROM conversations WHERE id IN {_GIVEN}",  # noqa: S608
)


class InTurn(Protocol):
    """Runs work on the journal's thread, in one transaction, alone among those who start."""

    async def __call__(self, work: Callable[[sqlite3.Connection, Set[UUID]], _Result]) -> _Result:
        """Run `work`, given the processes that live, and give what it returns."""
        ...


class Erasure:
    """Erases from a journal. Every method may raise `StorageError`, having changed nothing."""

    def __init__(
        self, transact: Transact, in_turn: InTurn, truncate: Callable[[], Awaitable[None]]
    ) -> None:
        """Made by the journal; `truncate` empties its write-ahead log."""
        self._transact = transact
        self._in_turn = in_turn
        self._truncate = truncate

    async def quiet(self, before: datetime, *, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """Conversations whose last message was before `before`, in the order of their ids.

        One without messages counts from when it began.

        Args:
            before: Since when nothing was said in them.
            after: The id to go on from; None begins.
            limit: How many at most.
        """
        values = {"before": sql_time(before), "after": str(after or ""), "limit": limit}
        return await self._transact(
            lambda connection: tuple(UUID(row["id"]) for row in connection.execute(_QUIET, values)),
            write=False,
        )

    async def in_use(
        self, conversation_ids: Collection[UUID], *, since: datetime | None
    ) -> Set[UUID]:
        """Those in which a call goes on in a process of this machine, or that were talked in since.

        Args:
            conversation_ids: Which to look at.
            since: Talked in since when; None looks only for calls.
        """
        return await self._in_turn(
            lambda connection, living: _in_use(connection, conversation_ids, since, living)
        )

    async def waiting(self, conversation_ids: Collection[UUID]) -> Set[UUID]:
        """Those of which something waits to be shipped."""
        return await self._transact(
            lambda connection: _ids(connection.execute(_WAITING, _given(conversation_ids))),
            write=False,
        )

    async def erase(self, conversation_ids: Collection[UUID], *, since: datetime | None) -> None:
        """Erase conversations with all that belongs to them, the outbox's entries too.

        Those that `in_use` gives stay. Nothing of what goes can be read from the file any more.

        Args:
            conversation_ids: Which; those that are not there are passed over.
            since: See `in_use`.
        """

        def work(connection: sqlite3.Connection, living: Set[UUID]) -> None:
            kept = _in_use(connection, conversation_ids, since, living)
            for statement in _ERASE:
                connection.execute(statement, _given(set(conversation_ids) - kept))

        await self._in_turn(work)
        await self._truncate()


def _in_use(
    connection: sqlite3.Connection,
    conversation_ids: Collection[UUID],
    since: datetime | None,
    living: Set[UUID],
) -> Set[UUID]:
    values = _given(conversation_ids) | {
        "since": sql_time(since) if since else None,
        "living": json.dumps([str(process_id) for process_id in living]),
    }
    return _ids(connection.execute(_IN_USE, values))


def _given(conversation_ids: Collection[UUID]) -> dict[str, str | None]:
    return {"ids": json.dumps([str(each) for each in conversation_ids])}


def _ids(rows: sqlite3.Cursor) -> Set[UUID]:
    return {UUID(row[0]) for row in rows}
