"""Whether the journal's file is still the one that was opened."""

from pathlib import Path

_Identity = tuple[int, int]


class JournalFile:
    """Knows the file that a journal was opened to write in, by what the system calls it.

    SQLite goes on writing to a file that was deleted, and nobody ever reads it.

    Args:
        path: The journal's file.
    """

    def __init__(self, path: Path) -> None:
        """No file is known yet."""
        self._path = path
        self._file: _Identity | None = None
        self._log: _Identity | None = None

    @property
    def is_known(self) -> bool:
        """Whether it was ever opened to write."""
        return self._file is not None

    def remember(self) -> None:
        """What stands there now is what was opened.

        Raises:
            OSError: Nothing stands there.
        """
        self._file = _identity(self._path)
        self._log = _identity_or_none(self._beside("-wal"))

    def is_there(self) -> bool:
        """Whether the file that was opened still stands there. Takes some microseconds."""
        try:
            there = _identity(self._path) == self._file
        except OSError:
            return False
        if there and self._log is None:
            self._log = _identity_or_none(self._beside("-wal"))
        return there

    def remove_leftovers(self) -> None:
        """Remove a write-ahead log that belongs to a journal that is not there any more.

        SQLite would take what is in it for changes of the file that stands there now.

        Raises:
            OSError: It cannot be removed.
        """
        log = self._beside("-wal")
        if not self._path.exists() or (
            self._log is not None and _identity_or_none(log) == self._log and not self.is_there()
        ):
            log.unlink(missing_ok=True)
            self._beside("-shm").unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(f"{self._path.name}{ending}")


def _identity(path: Path) -> _Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _identity_or_none(path: Path) -> _Identity | None:
    try:
        return _identity(path)
    except OSError:
        return None
