"""Ships kept files from this machine's folder to Supabase Storage, and removes them here then.

A file that was sent but not confirmed is sent again under the same name, which changes nothing. One
process at a time ships or removes files; whoever finds a file gone has nothing to do with it.

A file whose conversation is neither in the journal nor in Supabase was left by an erasure that came
between, or by a call that could not be recorded. It is removed.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Set
from uuid import UUID

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.storage.files.folder import ORPHANED_SECS, FileFolder
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket
from sonora_app.storage.supabase.circuit import Circuit
from sonora_app.storage.supabase.errors import SupabaseError

_LOOK_SECS = 2.0
"""How often to look for what other processes kept."""
_RECORDED_SECS = 5.0
"""How long the record of the conversation that a file came in may take to be written after it."""
_TIDY_SECS = 3600.0
_ASKED = 100


class FileShipper:
    """Ships the files of one folder.

    Args:
        folder: The folder.
        journal: Which knows where conversations that stand in for others belong.
        api: The project.
    """

    def __init__(self, folder: FileFolder, journal: Journal, api: SupabaseApi) -> None:
        """Set up; `run` ships."""
        self._folder = folder
        self._journal = journal
        self._api = api
        self._bucket = Bucket(api)
        self._circuit = Circuit()
        self._refused: set[KeptFile] = set()
        self._orphans: set[KeptFile] = set()
        self._tidied_at: float | None = None
        self._hurried = asyncio.Event()
        self._progress = asyncio.Event()
        self.last_error: StorageError | None = None
        """Why the last attempt failed; None when it did not."""

    @property
    def is_failing(self) -> bool:
        """Whether Storage counts as dead, or somebody has to mend something."""
        return self._circuit.is_open or self._is_misconfigured

    @property
    def _is_misconfigured(self) -> bool:
        return isinstance(self.last_error, SupabaseError) and self.last_error.is_misconfigured

    async def run(self) -> None:
        """Ship whatever comes, until cancelled."""
        while True:
            self._folder.added.clear()
            if wait := self._circuit.wait_secs():
                await _first_of(wait, self._hurried.wait())
                self._hurried.clear()
                continue
            try:
                await self._pass()
            except StorageError as error:
                self._failed(error)
                continue
            await _first_of(_LOOK_SECS, self._folder.added.wait())

    async def drain(self, timeout_secs: float) -> int:
        """Wait until the files that are here now are shipped. `run` must run.

        Where the project has no bucket, or somebody has to mend something else, it waits no longer
        than it takes to find that out.

        Args:
            timeout_secs: How long to wait at most.

        Returns:
            How many of them are still here.

        Raises:
            StorageError: The folder cannot be read.
        """
        waiting = left = await self._awaited()
        try:
            async with asyncio.timeout(timeout_secs):
                self._circuit.hurry()
                self._hurried.set()
                self._folder.added.set()
                while left and not self._is_misconfigured:
                    await _first_of(_LOOK_SECS / 4, self._progress.wait())
                    self._progress.clear()
                    left = waiting & await self._awaited()
        except TimeoutError:
            pass
        return len(left)

    async def _awaited(self) -> set[KeptFile]:
        return set(await self._folder.files(whole=True)) - self._refused - self._orphans

    async def _pass(self) -> None:
        """Do what there is to do for each file that is here.

        Raises:
            StorageError: Something failed, and the rest is to be tried again.
        """
        files = [each for each in await self._folder.files(whole=True) if each not in self._refused]
        self._orphans &= set(files)
        if not files:
            await self._tidy()
            return
        known = await self._journal.outbox.whereabouts({file.conversation_id for file in files})
        there = await self._in_supabase(
            {file.conversation_id for file in files if not known[file.conversation_id].is_here}
        )
        for file in files:
            place = known[file.conversation_id]
            if place.is_unplaced:
                continue
            if place.moved_to is not None:
                await self._folder.move(file, place.moved_to)
                self._folder.added.set()
            elif place.is_here or file.conversation_id in there:
                self._orphans.discard(file)
                await self._ship(file)
            elif (age := await self._folder.age_secs(file) or 0.0) > _RECORDED_SECS:
                self._orphans.add(file)
                if age > ORPHANED_SECS:
                    await self._remove_orphan(file)

    async def _ship(self, file: KeptFile) -> None:
        async with self._folder.in_turn():
            content = await self._folder.read(file)
            if content is None:
                # Another process shipped it, or it was erased.
                return
            try:
                await self._bucket.upload(file, content)
            except SupabaseError as error:
                if not error.may_be_content:
                    raise
                self._refused.add(file)
                logger.error(
                    f"Supabase Storage refuses a file of {len(content)} bytes: {error} "
                    "It stays in SONORA_DATA_DIR, and is tried again when Sonora starts."
                )
                return
            await self._folder.remove([file])
        if self._circuit.has_failed:
            logger.info("Files reach Supabase Storage again")
        self._circuit.succeeded()
        self.last_error = None
        self._progress.set()

    async def _remove_orphan(self, file: KeptFile) -> None:
        async with self._folder.in_turn():
            await self._folder.remove([file])
        logger.warning("Removed a kept file whose conversation is not there any more")
        self._progress.set()

    async def _in_supabase(self, ids: Iterable[UUID]) -> Set[UUID]:
        left = sorted(map(str, ids))
        found: set[UUID] = set()
        for first in range(0, len(left), _ASKED):
            some = left[first : first + _ASKED]
            rows = await self._api.rows(
                lambda client, some=some: client.table("conversations").select("id").in_("id", some)
            )
            found |= {UUID(row["id"]) for row in rows}
        return found

    async def _tidy(self) -> None:
        now = time.monotonic()
        if self._tidied_at is None or now - self._tidied_at >= _TIDY_SECS:
            self._tidied_at = now
            await self._folder.tidy()

    def _failed(self, error: StorageError) -> None:
        if not self._circuit.has_failed:
            logger.warning(f"Files wait for Supabase Storage: {error}")
        retry = error.retry_after_secs if isinstance(error, SupabaseError) else None
        self._circuit.failed(retry)
        self.last_error = error


async def _first_of(secs: float, woken: Awaitable[object]) -> None:
    """Sleep for `secs`, or until `woken` comes back."""
    try:
        async with asyncio.timeout(secs):
            await woken
    except TimeoutError:
        pass
