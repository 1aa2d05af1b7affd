"""Brings a journal's file up to date with schema.py.

`PRAGMA user_version` counts the migrations that a file has had.
"""

import sqlite3
import time

from sonora_app.errors import StorageError
from sonora_app.storage.journal.database import transaction
from sonora_app.storage.journal.schema import MIGRATIONS
from sonora_app.wording.translation import worded


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the journal has had: 0 for a file that is still empty.

    Raises:
        StorageError: More than this version of Sonora knows of.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StorageError(
            worded(
                "The journal was written by a newer version of Sonora: its schema is {version}, "
                "and this version knows {known}.",
                version=version,
                known=len(MIGRATIONS),
            ),
            hint=worded("Update Sonora, or set SONORA_DATA_DIR to another folder."),
        )
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the journal up to date, all or nothing.

    Raises:
        StorageError: It is newer than this version of Sonora; it is left as it is.
        sqlite3.Error: It cannot be written.
    """
    if schema_version(connection) == len(MIGRATIONS):
        return
    with transaction(connection, write=True):
        # Read again, now that no other process can migrate in between.
        for statements in MIGRATIONS[schema_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        # A pragma takes no bound values; this one is a number of ours.
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def number_anew(connection: sqlite3.Connection) -> None:
    """Number what a journal that is begun anew ships from the time on.

    Nobody who remembers a number of the one before takes another entry for it.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    first = time.time_ns() // 1_000_000
    with transaction(connection, write=True):
        for table in ("outbox", "shipped"):
            known = connection.execute(
                "SELECT max(seq) FROM sqlite_sequence WHERE name = ?", (table,)
            ).fetchone()[0]
            if known is None:
                connection.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, first)
                )
