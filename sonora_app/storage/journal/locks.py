"""File locks by which processes that share a journal know each other, and know which have died.

The locks are `flock`s: the system releases a lock when its process ends, however it ends.
"""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sonora_app.errors import StorageError
from sonora_app.storage.records import uuid7

_POLL_SECS = 0.01


class ProcessLock:
    """Says that the process that made it lives, for as long as it holds it.

    Make it, and ask `living()`, only while holding `turn()`: between making the file and
    locking it a process looks dead.

    Args:
        folder: Where the locks of the journal's processes are; made when it is missing.

    Raises:
        OSError: The lock cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        """Take a lock under a new id."""
        self.id: UUID = uuid7()
        """What the sessions that this process writes carry."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._path = lock_file(folder, str(self.id))
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def living(self) -> set[UUID]:
        """The ids of the processes that live, this one among them.

        Removes the lock files of those that do not.

        Raises:
            OSError: The folder cannot be read or changed.
        """
        alive = {self.id}
        for path in self._folder.glob("*.lock"):
            try:
                process_id = UUID(path.stem)
            except ValueError:
                continue
            if process_id != self.id and is_held(path):
                alive.add(process_id)
            elif process_id != self.id:
                path.unlink(missing_ok=True)
        return alive

    def release(self) -> None:
        """Let go of the lock and remove its file."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def lock_file(folder: Path, process_id: str) -> Path:
    """The file that a process holds the lock of for as long as it lives."""
    return folder / f"{process_id}.lock"


def is_held(path: Path) -> bool:
    """Whether the process lives whose lock file this is. Changes nothing.

    May be asked at any time of a process that the journal knows: it had its lock before.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:
        # Another user's process: it cannot be told, and a live call must not be closed.
        return True
    try:
        # Shared: whoever else asks at this moment must not find it held.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def turn(path: Path, *, timeout_secs: float) -> Generator[None]:
    """Hold the lock file `path` alone, waiting for whoever holds it. Blocks the thread.

    Raises:
        StorageError: Another process did not let go of it in time.
        OSError: The lock file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout_secs
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StorageError(
                        "The journal is busy: another process is starting on it and does not "
                        "finish.",
                        hint="Try again, or end the process that hangs.",
                    ) from None
                time.sleep(_POLL_SECS)
        yield
    finally:
        os.close(descriptor)
