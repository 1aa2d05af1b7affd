"""How a command has the calls of a person ended, whichever process of this machine holds them.

A mark beside the journal stands for as long as the person's calls are to end. Its name is a digest
of the person's id, and a lock on it says that whoever made it still wants it: a mark that was left
behind by a process that died counts for nothing. Every process that holds calls looks for marks.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sonora_app.errors import StorageError
from sonora_app.wording.translation import worded

LOOK_SECS = 1.0
"""How often a process looks for marks, in seconds."""

_POLL_SECS = 0.05
_PATIENCE_SECS = 5.0
"""How long to wait for a lock that somebody who only looks has for a moment."""


class CallsToEnd:
    """The marks beside a journal.

    Args:
        journal_path: The journal's file.
    """

    def __init__(self, journal_path: Path) -> None:
        """Make nothing yet."""
        self._folder = journal_path.parent / "ending"

    def any(self) -> bool:
        """Whether there is a mark of anybody's. Takes some microseconds."""
        try:
            with os.scandir(self._folder) as found:
                return next(found, None) is not None
        except OSError:
            return False

    def include(self, user_id: str) -> bool:
        """Whether the calls of `user_id` are to end. Removes a mark that was left behind."""
        mark = self._mark(user_id)
        try:
            descriptor = os.open(mark, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            mark.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    @contextmanager
    def asking(self, user_id: str) -> Generator[None]:
        """Have the calls of `user_id` end, and new ones too, for as long as the block lasts.

        Raises:
            StorageError: Another process is at it, or the mark cannot be made.
        """
        mark = self._mark(user_id)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _locked(mark)
        except OSError as error:
            raise StorageError(
                worded(
                    "The journal's folder {folder} cannot be used: {reason}.",
                    folder=mark.parent.parent,
                    reason=error.strerror or "",
                ),
                hint=worded("Check who may read and write its folder."),
            ) from error
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)
            os.close(descriptor)

    def _mark(self, user_id: str) -> Path:
        digest = hashlib.blake2b(user_id.encode("utf-8", "replace"), digest_size=16).hexdigest()
        return self._folder / digest


def _locked(mark: Path) -> int:
    """Make and lock the mark; gives its descriptor."""
    deadline = time.monotonic() + _PATIENCE_SECS
    while True:
        descriptor = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise StorageError(
                    worded("This person is being erased by another process already."),
                    hint=worded("Run it again when that has ended."),
                ) from None
            time.sleep(_POLL_SECS)
            continue
        # Whoever took it for one left behind may have removed it before it was locked.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)
