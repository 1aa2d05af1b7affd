"""The index's file: SQLite, beside the journal."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from sonora_app.errors import StorageError
from sonora_app.wording.translation import worded

BUSY_TIMEOUT_SECS = 10.0
"""How long to wait for another process that adds a document."""

_VERSION = 3
_SCHEMA = """
CREATE TABLE documents (
    id TEXT PRIMARY KEY,
    user_id TEXT,
    title TEXT NOT NULL,
    source TEXT NOT NULL,
    hash TEXT NOT NULL,
    language TEXT,
    created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX documents_by_source ON documents (source, coalesce(user_id, ''));

-- A number is never given twice, since a search may still hold one that is gone.
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    headings TEXT NOT NULL,
    page INTEGER,
    anchor TEXT,
    content TEXT NOT NULL,
    language TEXT NOT NULL,
    -- A vector for each of its windows, one after the other.
    embeddings BLOB NOT NULL,
    -- Vectors of its words that say something (late_interaction.py). NULL: an earlier Sonora made
    -- it, and its words are not compared one by one until it is made anew.
    words BLOB,
    UNIQUE (document_id, seq)
);

-- The keys of a passage's words (words.py), not the words themselves.
CREATE VIRTUAL TABLE passage_keys USING fts5 (headings, content, tokenize = "unicode61");
CREATE VIRTUAL TABLE passage_vocabulary USING fts5vocab (passage_keys, 'row');

CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO facts VALUES ('revision', '0');
"""


_CHANGES = {
    2: "ALTER TABLE passages DROP COLUMN heading_embedding",
    3: "ALTER TABLE passages ADD COLUMN words BLOB",
}
"""What brings an index to each later version."""


class ModelChangedError(StorageError):
    """The index was made by another embedding model, so its vectors mean nothing to this one."""


@contextmanager
def index_errors(path: Path) -> Generator[None]:
    """Turn what SQLite and the file system raise into `StorageError`, without any row's words.

    Raises:
        StorageError: The index cannot be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StorageError(
            worded("The index of documents {file} failed: {reason}.", file=path, reason=name),
            hint=worded(
                "If it stays so, move the file aside and add the documents again: "
                "uv run sonora knowledge add PATH"
            ),
        ) from None
    except OSError as error:
        raise StorageError(
            worded(
                "The index of documents {file} cannot be used: {reason}.",
                file=path,
                reason=error.strerror or "",
            ),
            hint=worded("Check who may read and write its folder."),
        ) from None


def open_index(path: Path) -> sqlite3.Connection:
    """Open the index at `path`, made with mode 0600 when it is missing.

    Raises:
        sqlite3.Error: It cannot be opened.
        OSError: It cannot be made.
        StorageError: A newer Sonora made it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    with writing(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
        elif version > _VERSION:
            raise StorageError(
                worded("A newer Sonora made the index of documents {file}.", file=path),
                hint=worded("Update Sonora, or move the file aside."),
            )
        for later in range(version + 1, _VERSION + 1) if version else ():
            connection.execute(_CHANGES[later])
        if version != _VERSION:
            connection.execute(f"PRAGMA user_version = {_VERSION}")
    return connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Generator[None]:
    """All or none of what is written in it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def changed(connection: sqlite3.Connection) -> None:
    """Note, in the transaction of a change, that there was one."""
    connection.execute("UPDATE facts SET value = value + 1 WHERE name = 'revision'")


def fact(connection: sqlite3.Connection, name: str) -> str | None:
    """What is written down under `name`."""
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_fact(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Write `value` down under `name`."""
    connection.execute(
        "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def exists(path: Path) -> bool:
    """Whether there is an index at `path` with at least one document in it."""
    if not path.exists():
        return False
    with index_errors(path), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as found:
        try:
            return found.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is not None
        except sqlite3.OperationalError:
            return False


def model_changed(made_by: str, model: str) -> ModelChangedError:
    """The error for an index that another model made."""
    return ModelChangedError(
        worded(
            "The index of documents was made by the model {made_by}, "
            "and would be asked by {model}.",
            made_by=made_by,
            model=model,
        ),
        hint=worded("Make it anew: uv run sonora knowledge rebuild"),
    )
