"""Deletes rows from the journal for good, so that no byte of them remains in its files.

The rows are deleted in one transaction. What remains of them in the files is cleared away
afterwards, once for any number of deletions (see `scrub.py`). Until then, a mark beside the journal
says that clearing is due.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Collection, Set
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import UUID

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.storage.journal.database import Transact
from sonora_app.storage.journal.outbox_rows import sql_time
from sonora_app.storage.journal.scrub import ErasingMarks, scrub

_Result = TypeVar("_Result")

_PATIENCE_SECS = 15.0
"""How long an erasure waits for readers that keep the old bytes alive."""
_AGAIN_SECS = 30.0
"""How long until what could not be cleared away is tried again."""

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
_NO_SOURCE = "conversation_id = NULL, source_message_id = NULL"
_NO_SOURCE_KEYS = "'$.conversation_id', NULL, '$.source_message_id', NULL"
_ERASE = (
    # A fact outlasts the conversation it came from, and then names neither it nor the message.
    f"UPDATE memories SET {_NO_SOURCE} WHERE conversation_id IN {_GIVEN}",  # noqa: S608
    *(
        f"UPDATE {table} SET conversation_id = NULL, payload = json_set(payload, {_NO_SOURCE_KEYS})"  # noqa: S608
        f" WHERE table_name = 'memories' AND operation = 'insert'"
        f" AND (conversation_id IN {_GIVEN}"
        f" OR json_extract(payload, '$.conversation_id') IN {_GIVEN})"
        for table in ("outbox", "set_aside")
    ),
    *(
        f"UPDATE {table} SET conversation_id = NULL"  # noqa: S608
        f" WHERE table_name = 'memories' AND conversation_id IN {_GIVEN}"
        for table in ("outbox", "set_aside")
    ),
    f"DELETE FROM provisional WHERE conversation_id IN {_GIVEN} OR kept_as IN {_GIVEN}",  # noqa: S608
    f"DELETE FROM outbox WHERE conversation_id IN {_GIVEN}",  # noqa: S608
    f"DELETE FROM set_aside WHERE conversation_id IN {_GIVEN}",  # noqa: S608
    f"DELETE FROM labels WHERE conversation_id IN {_GIVEN}",  # noqa: S608
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

    def __init__(self, path: Path, transact: Transact, in_turn: InTurn) -> None:
        """Made by the journal at `path`, on whose thread the other two work."""
        self._path = path
        self._marks = ErasingMarks(path)
        self._transact = transact
        self._in_turn = in_turn
        self._clearing: asyncio.Task[None] | None = None

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

    async def look(self, work: Callable[[sqlite3.Connection, Set[UUID]], _Result]) -> _Result:
        """Look at what might be deleted.

        Args:
            work: Looks; given the journal, and the processes that live. It changes nothing.

        Returns:
            What `work` returned.
        """
        return await self._in_turn(work)

    async def waiting(self, conversation_ids: Collection[UUID]) -> Set[UUID]:
        """Those of which something waits to be shipped."""
        return await self._transact(
            lambda connection: _ids(connection.execute(_WAITING, _given(conversation_ids))),
            write=False,
        )

    async def erase(self, conversation_ids: Collection[UUID], *, since: datetime | None) -> None:
        """Delete conversations (see `delete`), and leave no byte of them.

        Raises:
            StorageError: Nothing was deleted, or all was and pieces are left: the words say which.
        """
        await self.delete(conversation_ids, since=since)
        await self.leave_no_byte()

    async def delete(self, conversation_ids: Collection[UUID], *, since: datetime | None) -> None:
        """Delete conversations with all that belongs to them, the outbox's entries too.

        Those that `in_use` gives stay. Pieces of what goes are in the file until `leave_no_byte`.

        Args:
            conversation_ids: Which; those that are not there are passed over.
            since: See `in_use`.
        """

        def work(connection: sqlite3.Connection, living: Set[UUID]) -> None:
            kept = _in_use(connection, conversation_ids, since, living)
            for statement in _ERASE:
                connection.execute(statement, _given(set(conversation_ids) - kept))

        await self.delete_rows(work)

    async def delete_rows(
        self, work: Callable[[sqlite3.Connection, Set[UUID]], _Result]
    ) -> _Result:
        """Delete any rows, in one transaction. Call `leave_no_byte` after the last of them.

        Args:
            work: Deletes them; given the journal, and the processes that live. Run on the journal's
                thread, which it holds up.

        Returns:
            What `work` returned.
        """

        def marked(connection: sqlite3.Connection, living: Set[UUID]) -> _Result:
            before = connection.total_changes
            result = work(connection, living)
            if connection.total_changes != before:
                self._marks.make()
            return result

        return await self._in_turn(marked)

    async def leave_no_byte(self) -> None:
        """Clear away what was deleted from every file of the journal, as long as that takes.

        Calls go on meanwhile; see scrub.py for what it costs. When it fails it is tried again, for
        as long as this process has the journal open, and when the journal is opened anew.

        Raises:
            StorageError: Pieces of what was deleted may still be in the files.
        """
        try:
            await asyncio.to_thread(scrub, self._path, patience_secs=_PATIENCE_SECS)
        except StorageError:
            self.finish(after_secs=_AGAIN_SECS)
            raise

    def finish(self, *, after_secs: float = 0) -> None:
        """Clear away in the background what an erasure left that did not end, if there is any.

        Args:
            after_secs: When to begin.
        """
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.create_task(self._finish(after_secs), name="sonora-erasing")

    async def aclose(self) -> None:
        """Stop trying. What is left is left to the next one that opens the journal."""
        if self._clearing is not None:
            self._clearing.cancel()
            await asyncio.gather(self._clearing, return_exceptions=True)

    async def _finish(self, after_secs: float) -> None:
        await asyncio.sleep(after_secs)
        while await asyncio.to_thread(self._marks.listed):
            try:
                await asyncio.to_thread(scrub, self._path, patience_secs=_PATIENCE_SECS)
            except StorageError as error:
                logger.warning(str(error))
                await asyncio.sleep(_AGAIN_SECS)
            else:
                logger.info("Cleared away what an earlier deletion had left in the journal's file")


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
