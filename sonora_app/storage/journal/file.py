"""Whether the journal's file is still the one that was opened."""

from pathlib import Path

_Identity = tuple[int, int]


class JournalFile:
    """Knows the file that a journal was opened to write in, by what the system calls it.

    SQLite goes on writing to a file that was deleted, and nobody ever reads it.

    The system gives the number of a file that is gone to the next one, as soon as nobody has it
    open any more. So what is known here says something only while the connection is open.

    Args:
        path: The journal's file.
    """

    def __init__(self, path: Path) -> None:
        """No file is known yet."""
        self._path = path
        self._was_opened = False
        self._file: _Identity | None = None
        self._log: _Identity | None = None

    @property
    def is_known(self) -> bool:
        """Whether it was ever opened to write."""
        return self._was_opened

    def remember(self) -> None:
        """What stands there now is what was opened.

        Raises:
            OSError: Nothing stands there.
        """
        self._file = _identity(self._path)
        self._log = _identity_or_none(self._beside("-wal"))
        self._was_opened = True

    def forget(self) -> None:
        """The connection is about to be closed: no file that stands there is ours any more."""
        self._file = self._log = None

    def is_there(self) -> bool:
        """Whether the file that was opened still stands there. Takes some microseconds."""
        there = self._file is not None and _identity_or_none(self._path) == self._file
        if there and self._log is None:
            self._log = _identity_or_none(self._beside("-wal"))
        return there

    def remove_leftovers(self) -> None:
        """Remove a write-ahead log that belongs to a journal that is not there any more.

        SQLite would take what is in it for changes of the file that stands there now. To be called
        before the connection is closed, while no other process opens the journal.

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
