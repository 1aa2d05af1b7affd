"""The journal's file: how it is opened, and what to tell a person when that fails."""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from sonora_app.errors import RecordRefusedError, StorageError
from sonora_app.wording.translation import worded

BUSY_TIMEOUT_SECS = 5.0
"""How long to wait for another connection that is writing."""
_BUSY_BLOCK_SECS = 0.02
"""How much of that SQLite may wait by itself, which blocks the thread."""

_Result = TypeVar("_Result")


class Transact(Protocol):
    """Runs work on the journal's thread, in one transaction."""

    async def __call__(
        self, work: Callable[[sqlite3.Connection], _Result], *, write: bool
    ) -> _Result:
        """Run `work` and give what it returns.

        Raises:
            StorageError: It failed, and nothing was changed.
        """
        ...


_MEANINGS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        worded("The journal is busy: another process is writing to it."),
        worded("Try again; if it stays so, end the process that holds it."),
    ),
    sqlite3.SQLITE_FULL: (
        worded("The journal cannot be written: the disk is full."),
        worded("Free some space, or set SONORA_DATA_DIR to a folder on another disk."),
    ),
    sqlite3.SQLITE_CORRUPT: (
        worded("The journal is damaged."),
        worded("Move its file aside and keep it; Sonora then starts a new one."),
    ),
    sqlite3.SQLITE_NOTADB: (
        worded("The journal's file is not a journal."),
        worded("Move it aside, or set SONORA_DATA_DIR to another folder."),
    ),
    sqlite3.SQLITE_READONLY: (
        worded("The journal cannot be written: its file or its folder is read-only."),
        worded(
            "Give this user the right to write there, or set SONORA_DATA_DIR to another folder."
        ),
    ),
    sqlite3.SQLITE_CANTOPEN: (
        worded("The journal's file cannot be opened."),
        worded("Check who may read and write its folder, or set SONORA_DATA_DIR to another one."),
    ),
    sqlite3.SQLITE_IOERR: (
        worded("The journal cannot be read or written: the disk failed."),
        worded("Check the disk that SONORA_DATA_DIR is on."),
    ),
    sqlite3.SQLITE_CONSTRAINT: (
        worded("A record does not fit what is kept, so nothing of its batch was written."),
        worded("It belongs to a conversation or a session that is not kept, or lacks a value."),
    ),
}
_MEANINGS[sqlite3.SQLITE_LOCKED] = _MEANINGS[sqlite3.SQLITE_BUSY]
_MEANINGS[sqlite3.SQLITE_PERM] = _MEANINGS[sqlite3.SQLITE_CANTOPEN]
_PRIMARY_CODE = 0xFF
"""SQLite puts the kind of an error in the low byte of its code, and detail above it."""


@contextmanager
def storage_errors(path: Path) -> Generator[None]:
    """Turn what SQLite, the file system and the records' models raise into `StorageError`.

    Neither the sentences nor what they are raised from hold a value of any row: what people
    say stays out of errors.
    """
    try:
        yield
    except sqlite3.Error as error:
        kind = _kind(error)
        sentence, hint = _MEANINGS.get(
            kind,
            (
                worded("The journal failed: {reason}.", reason=_name(error)),
                "",
            ),
        )
        refused = kind == sqlite3.SQLITE_CONSTRAINT
        raised = RecordRefusedError if refused else StorageError
        # What Python's own layer raises has no code, and may quote a value.
        raise raised(sentence, hint=hint) from (error if kind else None)
    except OSError as error:
        raise StorageError(
            worded(
                "The journal's folder {folder} cannot be used: {reason}.",
                folder=path.parent,
                reason=error.strerror,
            ),
            hint=worded(
                "Check who may read and write it, or set SONORA_DATA_DIR to another folder."
            ),
        ) from error
    except ValidationError as error:
        fields = sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})
        raise StorageError(
            f"The journal holds a row of another shape than {error.title}: {', '.join(fields)}."
        ) from None
    except (ValueError, OverflowError) as error:
        raise RecordRefusedError(
            f"The journal cannot keep or read a value ({type(error).__name__})."
        ) from None


def _kind(error: sqlite3.Error) -> int:
    """The primary code of an error; 0 for what Python's own layer raises."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY_CODE


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)


@contextmanager
def transaction(connection: sqlite3.Connection, *, write: bool) -> Generator[None]:
    """All or none of what is done in it; what is read in it is of one moment.

    Raises:
        sqlite3.Error: It cannot begin or commit; nothing was changed.
    """
    # A write takes its lock at once: one that began by reading could not wait for it.
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


async def unless_busy(work: Callable[[], _Result]) -> _Result:
    """Run `work`; again, for `BUSY_TIMEOUT_SECS`, when another connection keeps it from beginning.

    The thread is free for other work in between.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BUSY_TIMEOUT_SECS
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if _kind(error) != sqlite3.SQLITE_BUSY or loop.time() > deadline:
                raise
        await asyncio.sleep(_BUSY_BLOCK_SECS)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the journal at `path`, made with mode 0600 when it is missing. Writes nothing else.

    Raises:
        sqlite3.Error: It cannot be opened.
        OSError: It cannot be made.
    """
    path.touch(mode=0o600)
    return _connect(path, "mode=rw")


def prepare_to_write(connection: sqlite3.Connection) -> None:
    """Set how the journal is written, before the first write.

    Only one process at a time may be here: SQLite does not wait for its lock while the journal
    mode changes.

    Raises:
        StorageError: The file system cannot hold a write-ahead log.
        sqlite3.Error: The file cannot be written.
    """
    mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StorageError(
            "The journal cannot be kept here: the file system lacks what a write-ahead log needs.",
            hint="Set SONORA_DATA_DIR to a folder on a local disk.",
        )
    connection.execute("PRAGMA synchronous = FULL")
    # Without this, macOS leaves what was synced in the disk's own cache.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten: what somebody said does not stay behind in free pages.
    connection.execute("PRAGMA secure_delete = ON")


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the journal at `path`, changing nothing of what it holds.

    Raises:
        StorageError: There is no such file.
        sqlite3.Error: It cannot be opened.
        OSError: Its folder cannot be read.
    """
    if not path.is_file():
        raise nothing_kept(path)
    # Not `mode=ro`, which would leave SQLite's own files behind where no bot is running.
    connection = _connect(path, "mode=rw")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        # A folder in which SQLite cannot make its files, and so no bot is writing.
        return _connect(path, "immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def nothing_kept(path: Path) -> StorageError:
    """The error for a journal that is not there yet."""
    return StorageError(
        worded("There is nothing kept yet: no journal at {path}.", path=path),
        hint=worded("Talk to the bot first, or set SONORA_DATA_DIR to the folder it writes in."),
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=_BUSY_BLOCK_SECS,
        isolation_level=None,
    )
    connection.row_factory = sqlite3.Row
    return connection
