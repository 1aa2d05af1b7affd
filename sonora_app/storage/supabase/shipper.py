"""Ships the journal's outbox to Supabase, in order, for as long as that takes.

One batch travels at a time, and only its entries are in memory, however many wait. Applying a batch
twice changes nothing, so a batch that was sent but not confirmed is sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.journal.provisional import Provisional
from sonora_app.storage.records import StorageHealth, utc_now
from sonora_app.storage.side_loop import Signal
from sonora_app.storage.supabase.circuit import Circuit
from sonora_app.storage.supabase.destination import Destination
from sonora_app.storage.supabase.errors import Refusal, SupabaseError, Trouble

LARGEST_BATCH = 100

_LOOK_SECS = 1.0
"""How often to look for what other processes wrote or shipped."""
_PRUNE_SECS = 3600.0
_REFUSED_PAUSE_SECS = 0.2
_REFUSED_TIMES = 5
"""How often one entry alone must be refused before it is suspected to be the reason."""
_STALLED_LOOKS = 10
"""Looks at another process's work without progress before storage counts as delayed."""


class Shipper:
    """Ships the outbox of one journal.

    Any number of processes may each have one for the same journal: one of them ships, for all;
    the others watch, and take over when it ends.

    Args:
        journal: The journal, opened with its outbox on.
        api: Where to.
        on_stored: Told the ids of the messages that have reached it. Must not raise.
        on_health: Told how shipping goes when that changes, and how many entries wait.
        keep: How long the journal keeps calls that are stored; None keeps them for good.
        circuit: When to try again.
        sleep: Sleeps for a number of seconds.
    """

    def __init__(
        self,
        journal: Journal,
        api: Destination,
        *,
        on_stored: Callable[[Sequence[UUID]], None] = lambda ids: None,
        on_health: Callable[[StorageHealth, int], None] = lambda health, pending: None,
        keep: timedelta | None = None,
        circuit: Circuit | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Set up; `run` ships."""
        self._outbox = journal.outbox
        self._api = api
        self._on_stored = on_stored
        self._on_health = on_health
        self._keep = keep
        self._circuit = circuit or Circuit()
        self._sleep = sleep
        self._health: StorageHealth = "ok"
        self._limit = LARGEST_BATCH
        self._suspect = (0, 0)
        self._hurried = asyncio.Event()
        self._progress = asyncio.Event()
        self._pruned_at: float | None = None
        self.last_error: SupabaseError | None = None
        """Why the last attempt failed; None when it did not."""
        self.ships = False
        """Whether it is this one that ships, and not another process."""

    @property
    def health(self) -> StorageHealth:
        """How shipping goes."""
        return self._health

    async def run(self) -> None:
        """Ship whatever comes, until cancelled."""
        try:
            await self._wait_for_turn()
            self.ships = True
            while True:
                await self._step()
        finally:
            self.ships = False
            self._outbox.release()

    async def drain(self, timeout_secs: float) -> int:
        """Wait until what is in the outbox now has been shipped or refused. `run` must run.

        An attempt is made at once, even where the circuit is open.

        Args:
            timeout_secs: How long to wait at most.

        Returns:
            How many of the entries are still there.

        Raises:
            StorageError: The journal cannot be read.
        """
        left = 0
        try:
            async with asyncio.timeout(timeout_secs):
                position = await self._outbox.last_position()
                self._circuit.hurry()
                self._hurried.set()
                while left := await self._outbox.pending_until(position):
                    await self._rest(_LOOK_SECS / 4, self._progress)
        except TimeoutError:
            pass
        return left

    async def _step(self) -> None:
        """Make one attempt, or wait until there is reason to make one."""
        if wait := self._circuit.wait_secs():
            await self._rest(wait, self._hurried)
            return
        self._outbox.enqueued.clear()
        try:
            for held in await self._outbox.unplaced():
                await self._outbox.place(held, await self._place(held))
            entries = await self._outbox.batch(self._limit)
            if not entries:
                await self._prune()
        except SupabaseError as error:
            await self._back_off(error)
            return
        except StorageError as error:
            logger.warning(f"The outbox cannot be read: {error}")
            await self._sleep(_LOOK_SECS)
            return
        if not entries:
            await self._report("ok")
            await self._rest(_LOOK_SECS, self._outbox.enqueued)
            return
        try:
            refusals = await self._api.apply(entries)
        except SupabaseError as error:
            await self._failed(entries, error)
        else:
            await self._settle(entries, refusals)

    async def _place(self, held: Provisional) -> UUID:
        try:
            found = await self._api.look_up(held.asked_for, held.user_id, message_limit=0)
        except SupabaseError as error:
            if error.trouble is not Trouble.REFUSED:
                raise
            # It would be asked in vain for ever, and hold up everything else.
            return held.conversation_id
        return held.place(found)

    async def _settle(self, entries: Sequence[Entry], refusals: Sequence[Refusal | None]) -> None:
        """Note in the journal what became of a batch that was answered."""
        shipped = [
            entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None
        ]
        refused = {
            entry.position: refusal.reason
            for entry, refusal in zip(entries, refusals, strict=True)
            if refusal is not None
        }
        try:
            await self._outbox.settle(shipped, refused)
        except StorageError as error:
            # It is sent again, which changes nothing there.
            logger.warning(f"What was shipped cannot be noted: {error}")
            await self._sleep(_LOOK_SECS)
            return
        self._circuit.succeeded()
        self._limit = min(LARGEST_BATCH, self._limit * 2)
        self._suspect = (0, 0)
        self.last_error = None
        if refused:
            logger.error(
                f"Supabase refuses {len(refused)} records for good, the first because: "
                f"{next(iter(refused.values()))}. `uv run sonora sync list` shows them."
            )
        self._tell_stored([entry.row_id for entry in shipped if entry.table == "messages"])
        self._progress.set()
        await self._report("ok")

    async def _failed(self, entries: Sequence[Entry], error: SupabaseError) -> None:
        """Decide what to do about a batch that was not answered as it should."""
        self._limit = max(1, len(entries) // 2)
        if error.may_be_content:
            found = await self._find_refused(entries, error)
            if found is None:
                return
            error = found
        await self._back_off(error)

    async def _back_off(self, error: SupabaseError) -> None:
        self.last_error = error
        self._circuit.failed(error.retry_after_secs)
        failing = self._circuit.is_open or error.is_misconfigured
        await self._report("failing" if failing else "delayed", error)

    async def _find_refused(
        self, entries: Sequence[Entry], error: SupabaseError
    ) -> SupabaseError | None:
        """Look for the entry whose content a batch is refused for, and set it aside.

        Only an entry that is refused alone, again and again, while the server answers other
        requests, is taken for the reason. Anything else could be a mishap in between.

        Returns:
            The error, where it was not the content; None to go on.
        """
        first = entries[0]
        if len(entries) == 1:
            position, times = self._suspect
            times = times + 1 if position == first.position else 1
            self._suspect = (first.position, times)
            if times >= _REFUSED_TIMES:
                try:
                    await self._api.schema_version()
                except SupabaseError as unrelated:
                    return unrelated
                await self._settle(entries, [Refusal(str(error.status or 0))])
                return None
        await self._sleep(_REFUSED_PAUSE_SECS)
        return None

    async def _wait_for_turn(self) -> None:
        """Watch the process that ships, until it is this one."""
        number: int | None = None
        stalled = 0
        while not self._claim():
            try:
                latest, ids = await self._outbox.shipped_since(number)
                pending = (await self._outbox.counts()).pending
            except StorageError as error:
                logger.warning(f"The outbox cannot be read: {error}")
            else:
                stalled = stalled + 1 if pending and latest == number else 0
                number = latest
                self._tell_stored(ids)
                self._progress.set()
                await self._report("delayed" if stalled >= _STALLED_LOOKS else "ok")
            await self._sleep(_LOOK_SECS)

    def _claim(self) -> bool:
        try:
            return self._outbox.claim()
        except StorageError as error:
            logger.warning(f"The outbox cannot be claimed: {error}")
            return False

    def _tell_stored(self, ids: Sequence[UUID]) -> None:
        if ids:
            # Not from here, so that what goes wrong in it does not stop the shipping.
            asyncio.get_running_loop().call_soon(self._on_stored, ids)

    async def _report(self, health: StorageHealth, error: SupabaseError | None = None) -> None:
        if health == self._health:
            return
        self._health = health
        try:
            pending = (await self._outbox.counts()).pending
        except StorageError:
            pending = 0
        if error is not None:
            logger.log(
                "ERROR" if error.is_misconfigured else "WARNING",
                f"{pending} records wait for Supabase: {error}",
            )
        else:
            logger.info("Records reach Supabase again")
        asyncio.get_running_loop().call_soon(self._on_health, health, pending)

    async def _prune(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._keep is None or (
            self._pruned_at is not None and now - self._pruned_at < _PRUNE_SECS
        ):
            return
        self._pruned_at = now
        removed = await self._outbox.prune(utc_now() - self._keep)
        if removed:
            logger.info(f"The journal let go of {removed} calls that are stored in Supabase")

    async def _rest(self, secs: float, woken: asyncio.Event | Signal) -> None:
        """Sleep for `secs`, or until `woken` is set; it is cleared."""
        tasks = (asyncio.ensure_future(self._sleep(secs)), asyncio.ensure_future(woken.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        woken.clear()
