"""A journal's connection to its file, and the thread on which all of its work is done."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.storage.journal.database import (
    BUSY_TIMEOUT_SECS,
    nothing_kept,
    open_for_reading,
    open_for_writing,
    prepare_to_write,
    storage_errors,
    transaction,
    unless_busy,
)
from sonora_app.storage.journal.file import JournalFile
from sonora_app.storage.journal.locks import ProcessLock, is_held, lock_file, turn
from sonora_app.storage.journal.migrations import MIGRATIONS, migrate, number_anew, schema_version
from sonora_app.storage.side_loop import SideLoop
from sonora_app.wording.translation import worded

_Result = TypeVar("_Result")


class JournalConnection:
    """One connection to the journal's file. What writes is done in the order it was asked for.

    While another connection writes, nothing of this waits but writes.

    Args:
        path: The journal's file. Locks are kept beside it.

    Attributes:
        side: The loop of the thread that the work is done on.
        generation: How often the journal was begun anew, since its file was gone.
    """

    def __init__(self, path: Path) -> None:
        """Start the thread; `open` opens the file on it."""
        self.side = SideLoop("sonora-journal")
        self._path = path
        self._processes = path.parent / "processes"
        self._connection: sqlite3.Connection | None = None
        self._process: ProcessLock | None = None
        self._closing: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._file = JournalFile(path)
        self.generation = 0

    async def open(self, *, read_only: bool) -> None:
        """Open the file, to write (making what is missing) or for reading only.

        Raises:
            StorageError: It cannot be opened, or is newer than this version of Sonora, or
                there is nothing to read yet.
        """
        await self._run(self._open_to_read if read_only else self._open_to_write)

    async def transact(
        self, work: Callable[[sqlite3.Connection], _Result], *, write: bool
    ) -> _Result:
        """Do `work` in one transaction. Cancelling this does not undo what it had begun.

        Raises:
            StorageError: It could not be done, or was undone.
        """

        def within() -> _Result:
            connection = self._writable()[0] if write else self._opened()
            with transaction(connection, write=write):
                result = work(connection)
            if write:
                self._check_kept()
            return result

        return await self._run(within, write=write)

    async def in_turn(self, work: Callable[[sqlite3.Connection, Set[UUID]], _Result]) -> _Result:
        """Do `work` while no other process does so, told which processes are alive.

        Raises:
            StorageError: It could not be done, or was undone.
        """

        def within() -> _Result:
            connection, process = self._writable()
            with self._turn(), transaction(connection, write=True):
                result = work(connection, process.living())
            self._check_kept()
            return result

        return await self._run(within, write=True)

    def lives(self, process_id: str | None) -> bool:
        """Whether a process lives that the journal knows. Also for a journal that is only read.

        Raises:
            OSError: It cannot be told.
        """
        return process_id is not None and is_held(lock_file(self._processes, process_id))

    def process_id(self) -> UUID:
        """What this process is called in the journal. Only for work that is being done.

        Raises:
            StorageError: The journal was opened for reading only.
        """
        if self._process is None:
            raise StorageError("The journal was opened for reading only.")
        return self._process.id

    async def aclose(self) -> None:
        """Finish what is under way and let go of the file. Safe to call twice.

        Raises:
            StorageError: The file or its lock could not be let go of in order.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._let_go(), name="sonora-journal-close")
        await asyncio.shield(self._closing)

    @property
    def is_closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._closing is not None

    async def _let_go(self) -> None:
        try:
            await self.side.run(self._guarded(self._close, write=True))
        finally:
            await self.side.aclose()

    async def _run(self, work: Callable[[], _Result], *, write: bool = False) -> _Result:
        if self._closing is not None:
            raise StorageError("The journal is closed.")
        guarded = self._guarded(work, write=write)
        return await (guarded if self.side.is_running else self.side.run(guarded))

    # What follows runs on the journal's thread.

    async def _guarded(self, work: Callable[[], _Result], *, write: bool = False) -> _Result:
        with storage_errors(self._path):
            if not write:
                return await unless_busy(work)
            async with self._writing:
                return await unless_busy(work)

    def _open_to_write(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._turn():
            self._file.remove_leftovers()
            with contextlib.suppress(sqlite3.Error, OSError):
                self._close()
            connection = open_for_writing(self._path)
            try:
                # A newer journal is left untouched.
                schema_version(connection)
                prepare_to_write(connection)
                migrate(connection)
                if self._file.is_known:
                    number_anew(connection)
                self._process = ProcessLock(self._processes)
                self._file.remember()
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def _begin_anew(self) -> None:
        """Let go of a journal whose file is gone, and begin the one that stands there now."""
        logger.error(
            f"The journal {self._path} was deleted or replaced while Sonora was using it. A new "
            "one is begun: it gets what is still in memory, and what comes"
        )
        self._open_to_write()
        self.generation += 1

    def _check_kept(self) -> None:
        if not self._file.is_there():
            raise StorageError(
                worded("The journal was deleted or replaced while it was written."),
                hint=worded("Leave its files alone while a bot runs."),
            )

    def _open_to_read(self) -> None:
        self._connection = open_for_reading(self._path)
        version = schema_version(self._connection)
        if version == 0:
            raise nothing_kept(self._path)
        if version < len(MIGRATIONS):
            raise StorageError(
                worded("The journal was written by an older version of Sonora."),
                hint=worded("Start the bot once: it brings the journal up to date."),
            )

    def _turn(self) -> AbstractContextManager[None]:
        return turn(self._path.with_suffix(".lock"), timeout_secs=BUSY_TIMEOUT_SECS)

    def _opened(self) -> sqlite3.Connection:
        if self._file.is_known and not self._file.is_there():
            self._begin_anew()
        if self._connection is None:
            raise StorageError("The journal is not open.")
        return self._connection

    def _writable(self) -> tuple[sqlite3.Connection, ProcessLock]:
        connection = self._opened()
        if self._process is None:
            raise StorageError("The journal was opened for reading only.")
        return connection, self._process

    def _close(self) -> None:
        self._file.forget()
        connection, self._connection = self._connection, None
        process, self._process = self._process, None
        try:
            if connection is not None:
                connection.close()
        finally:
            if process is not None:
                process.release()
