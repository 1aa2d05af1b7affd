"""Clears deleted rows out of the journal's files, to the last byte.

`secure_delete` alone is not enough. SQLite leaves pieces of a row that an UPDATE made longer in the
gaps of its pages, FTS5 keeps the words of deleted rows in its own tables, and the write-ahead log
keeps whole pages. So the file is written anew (`VACUUM`) and the log is emptied.

`VACUUM` renumbers the rows of a table that has no `INTEGER PRIMARY KEY` of its own. It takes 10 to
20 ms a megabyte (journals of 50 and 220 MB on two cores, one idle and one busy), and needs as much
free space as the journal has, both beside the journal and in the folder for temporary files.
Meanwhile others can read, and writers wait.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from sonora_app.errors import StorageError
from sonora_app.storage.journal.database import open_for_writing, storage_errors
from sonora_app.wording.translation import worded

_LOOK_SECS = 0.1
_BUSY_MS = 5_000
_FULL_TEXT = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%USING fts5%'"


class ErasingMarks:
    """Files beside the journal that say: rows were deleted, and their bytes may still be there.

    Args:
        path: The journal's file.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is made yet."""
        self._path = path

    def make(self) -> None:
        """Leave a mark, for good before this returns. Call it within the deleting transaction.

        Then whoever lists it and gets the write lock afterwards finds the rows deleted, or still
        there.

        Raises:
            OSError: It cannot be made.
        """
        self._path.with_name(f"{self._prefix}{uuid4()}").touch(mode=0o600, exist_ok=False)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def listed(self) -> list[Path]:
        """Those that are there, whoever made them."""
        return list(self._path.parent.glob(f"{self._prefix}*"))

    @property
    def _prefix(self) -> str:
        return f"{self._path.stem}.erasing."


def scrub(path: Path, *, patience_secs: float) -> None:
    """Leave nothing of deleted rows in the journal's files, and take away the marks of it.

    Blocks its thread, and uses a connection of its own.

    Args:
        path: The journal's file.
        patience_secs: How long to wait for readers that need what is erased.

    Raises:
        StorageError: Something of it may be there still, and so are the marks.
    """
    marks = ErasingMarks(path).listed()
    try:
        with storage_errors(path):
            if path.exists():
                with closing(open_for_writing(path)) as connection:
                    _rewrite(connection)
                    empty_log(connection, patience_secs)
            for mark in marks:
                mark.unlink(missing_ok=True)
    except StorageError as error:
        raise StorageError(
            worded(
                "What was deleted is gone from the journal, but pieces of it may still be in its "
                "file: {problem}",
                problem=error.message,
            ),
            hint=worded(
                "The bot clears them away as soon as it can, and so does the next start. {hint}",
                hint=error.hint,
            ).rstrip(),
        ) from error


def _rewrite(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA secure_delete = ON")
    for (table,) in connection.execute(_FULL_TEXT).fetchall():
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608
    connection.execute("VACUUM")


def empty_log(connection: sqlite3.Connection, patience_secs: float) -> None:
    """Bring all of a file's write-ahead log into the file, and leave nothing in the log.

    Args:
        connection: A connection to it, in no transaction.
        patience_secs: How long to wait for readers that need what is in the log.

    Raises:
        StorageError: Somebody goes on reading.
        sqlite3.Error: It cannot be done.
    """
    # A checkpoint that waits keeps writers out, so this one gives up at once and comes back.
    connection.execute("PRAGMA busy_timeout = 0")
    deadline = time.monotonic() + patience_secs
    while True:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        if time.monotonic() > deadline:
            raise StorageError(
                worded("Another program has been reading the file for a long time."),
                hint=worded("End the program that has it open."),
            )
        time.sleep(_LOOK_SECS)
