"""The folder of kept files on this machine: where a file lies from the moment that it is kept.

With Supabase it lies there until it is in Storage. Without Supabase it stays. Only the owner of the
process may read it.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sonora_app.errors import StorageError
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.side_loop import Signal
from sonora_app.wording.translation import worded

_Result = TypeVar("_Result")

_LOCK = ".lock"
_PART = ".part"
_LOOK_SECS = 0.05
_PATIENCE_SECS = 90.0
"""How long to wait for whoever holds the folder: an upload takes a minute at most."""
ORPHANED_SECS = 3600.0
"""A file this old whose conversation is nowhere is an orphan: its call was recorded long ago, or
never. One that is half written belongs to a process that died."""

GROWING_SECS = 20.0
"""A file of sound that was written to within so long may belong to a call that goes on."""


class FileFolder:
    """A folder of kept files, which several processes may use at once.

    Args:
        folder: The folder. It is made when the first file is kept.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is made or read yet."""
        self._folder = folder
        self.added = Signal()
        """Set when this process has kept a file."""

    async def keep(self, file: KeptFile, content: bytes) -> None:
        """Write a file. It is whole or not there, also after a loss of power.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            await asyncio.to_thread(self._write, file, content)
        except OSError as error:
            raise StorageError(
                worded("The file cannot be kept: {error}.", error=error.strerror or "OSError"),
                hint=worded("Make room in SONORA_DATA_DIR, or set it to a folder that it may use."),
            ) from None
        self.added.set()

    async def begin(self, file: KeptFile) -> Path:
        """Make an empty file, to which somebody adds until `finish`. Gives where it is.

        Raises:
            StorageError: It cannot be made.
        """

        def begin() -> Path:
            os.close(self._begin(self._path(file)))
            return self._path(file)

        return await self._working(begin)

    async def finish(self, file: KeptFile) -> None:
        """Count a file as whole that somebody has added to. One that is gone stays so.

        Raises:
            StorageError: It cannot be reached.
        """

        def finish() -> None:
            with suppress(FileNotFoundError):
                os.utime(self._path(file), (time.time(), time.time() - GROWING_SECS))

        await self._working(finish)
        self.added.set()

    async def find(self, file: KeptFile) -> Path | None:
        """Where a file is; None where it is not here.

        Raises:
            StorageError: The folder cannot be read.
        """
        path = self._path(file)
        return path if await self._working(path.is_file) else None

    async def read(self, file: KeptFile) -> bytes | None:
        """What is in a file; None where it is not here.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            return await asyncio.to_thread(self._path(file).read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(
                worded("The file cannot be read: {error}.", error=error.strerror or "OSError")
            ) from None

    async def files(self, *, whole: bool = False) -> tuple[KeptFile, ...]:
        """All that are here, the eldest first.

        Args:
            whole: Without those that may still grow.

        Raises:
            StorageError: The folder cannot be read.
        """
        found = await self._working(self._listed)
        if not whole:
            return found
        return tuple([file for file in found if not file.is_sound or not await self._grows(file)])

    async def _grows(self, file: KeptFile) -> bool:
        age_secs = await self.age_secs(file)
        return age_secs is not None and age_secs < GROWING_SECS

    async def age_secs(self, file: KeptFile) -> float | None:
        """How long a file has been here, in seconds; None where it is not here."""

        def age() -> float | None:
            try:
                return time.time() - self._path(file).stat().st_mtime
            except FileNotFoundError:
                return None

        return await self._working(age)

    async def remove(self, files: Collection[KeptFile]) -> int:
        """Remove files, and folders that are empty then. Gives how many files were there.

        Raises:
            StorageError: Some of them may be there still.
        """
        return await self._working(lambda: sum(self._remove(file) for file in files))

    async def move(self, file: KeptFile, conversation_id: UUID) -> None:
        """Make a file one of another conversation of its owner.

        Raises:
            StorageError: It is where it was.
        """
        moved = KeptFile(file.folder, conversation_id, file.id, file.ending)

        def move() -> None:
            target = self._path(moved)
            _make_folders(target.parent, self._folder)
            self._path(file).rename(target)
            self._remove(file)

        await self._working(move)

    async def tidy(self) -> None:
        """Remove what processes that died left half written.

        Raises:
            StorageError: The folder cannot be changed.
        """

        def tidy() -> None:
            for part in self._folder.glob(f"*/*/*{_PART}"):
                with suppress(FileNotFoundError):
                    if time.time() - part.stat().st_mtime > ORPHANED_SECS:
                        part.unlink()

        await self._working(tidy)

    @asynccontextmanager
    async def in_turn(self) -> AsyncGenerator[None]:
        """Be the only one, of all processes, that uploads files or removes them.

        Raises:
            StorageError: Somebody else did not let go of it in time.
        """
        if not await asyncio.to_thread(self._folder.is_dir):
            yield
            return
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + _PATIENCE_SECS
            while not _locked(descriptor):
                if time.monotonic() >= deadline:
                    raise StorageError(
                        worded("Another process is busy with the kept files and does not finish."),
                        hint=worded("Try again, or end the process that hangs."),
                    )
                await asyncio.sleep(_LOOK_SECS)
            yield
        finally:
            os.close(descriptor)

    async def _working(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise StorageError(
                worded(
                    "The kept files cannot be reached: {error}.", error=error.strerror or "OSError"
                )
            ) from None

    def _path(self, file: KeptFile) -> Path:
        return self._folder / file.path

    def _write(self, file: KeptFile, content: bytes) -> None:
        path = self._path(file)
        part = path.with_name(f".{path.name}{_PART}")
        try:
            descriptor = self._begin(part)
        except FileNotFoundError:
            # Somebody removed the folder this instant, since it was empty.
            descriptor = self._begin(part)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        _sync(path.parent)

    def _begin(self, part: Path) -> int:
        _make_folders(part.parent, self._folder)
        return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def _listed(self) -> tuple[KeptFile, ...]:
        found = (
            KeptFile.at(path.relative_to(self._folder).as_posix())
            for path in self._folder.glob("*/*/*.*")
        )
        return tuple(sorted((file for file in found if file is not None), key=lambda each: each.id))

    def _remove(self, file: KeptFile) -> bool:
        path = self._path(file)
        try:
            path.unlink()
            was_there = True
        except FileNotFoundError:
            was_there = False
        for folder in (path.parent, path.parent.parent):
            with suppress(OSError):
                folder.rmdir()
        return was_there


def _make_folders(folder: Path, top: Path) -> None:
    """Make `folder` and those above it up to `top`, for the owner alone."""
    for each in (top, folder.parent, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
