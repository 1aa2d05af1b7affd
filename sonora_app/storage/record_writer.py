"""Makes the records that the recorder's notes are for, and writes them, off the voice path."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVarTuple

from loguru import logger
from pydantic import ValidationError

from sonora_app.errors import RecordRefusedError, StorageError
from sonora_app.storage.records import (
    ConversationUpdate,
    Message,
    ProvisionalConversation,
    Record,
    RecordedCall,
    StorageHealth,
    Transition,
)
from sonora_app.storage.side_loop import SideLoop
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate
from sonora_app.storage.unwritten import Unwritten

_Args = TypeVarTuple("_Args")

Draft = Callable[[], Record]
"""Makes a record of what happened, once and in its turn."""

_DROPPED = Message | Transition | ToolCall | ToolCallUpdate
"""What may be dropped where memory runs out: what was said or done."""

_BATCH = 64
_OPENING_SECS = 0.03
"""How long after a call began its first records are written. Opening it takes half as long."""
_FIRST_RETRY_SECS = 0.2
_LONGEST_RETRY_SECS = 10.0
_FAILING_AFTER = 3
"""Failed attempts in a row before storage counts as failing rather than delayed."""


class WritableStore(Protocol):
    """What recording needs of a store."""

    unwritten: Unwritten
    """Where it is known what the store has not taken."""

    @property
    def side(self) -> SideLoop:
        """The loop to write from, where what goes with writing does not hold up calls."""
        ...

    @property
    def generation(self) -> int:
        """Another number once the store was begun anew, without what was written before."""
        ...

    async def write(self, records: Sequence[Record]) -> None:
        """Write `records` in order, all or none. See `Store.write`."""
        ...


@dataclass
class _Held:
    """A record that the journal has not taken yet; `safe` once the store behind it has."""

    record: Record
    size: int
    safe: bool = False


class RecordWriter:
    """Makes records and sees them into the store. All of it runs on the store's side loop.

    It goes on after the call, for as long as something is left to be written.

    Args:
        store: Where they go.
        call: The call they are of.
        on_written: Told, on the loop that made this, the records that were written, and how many
            are done with.
        on_health: Told there how storage is doing, when it changes.

    Attributes:
        call: The call they are of.
    """

    def __init__(
        self,
        store: WritableStore,
        call: RecordedCall,
        on_written: Callable[[Sequence[Record], int], None],
        on_health: Callable[[StorageHealth], None],
    ) -> None:
        """Set up, on the loop of the call; `run` writes."""
        self.call = call
        self._store = store
        self._on_written = on_written
        self._on_health = on_health
        self._calls = asyncio.get_running_loop()
        self._health: StorageHealth = "ok"
        self._waiting: asyncio.Queue[Draft | None] = asyncio.Queue()
        self._ended = False
        self._held: dict[int, _Held] = {}
        self._number = 0
        self._undone = 0
        self._done = asyncio.Event()
        self._attempting = asyncio.Lock()
        self._generation = store.generation
        # What the rest of the call's records refer to.
        self._ground = tuple(
            record for record in call.records if not isinstance(record, ConversationUpdate)
        )

    def take(self, *drafts: Draft) -> None:
        """Have records made and written. A step and its position are written in one go."""
        self._undone += len(drafts)
        self._done.clear()
        for draft in drafts:
            self._waiting.put_nowait(draft)

    async def drain(self) -> None:
        """Try at once, and wait until everything taken so far is written somewhere, or refused."""
        if self._undone:
            await self.try_now()
            await self._done.wait()

    def end(self) -> None:
        """There will be no more drafts: end when everything is written."""
        self._waiting.put_nowait(None)

    async def run(self) -> None:
        """Write until everything is written and `end` was called, or until cancelled."""
        # What opening a call records is written in one go, and does not hold up the opening itself.
        await asyncio.sleep(_OPENING_SECS)
        while not self._ended:
            self._take(await self._waiting.get())
            failures = 0
            while not await self._attempt(past=failures >= _FAILING_AFTER):
                failures += 1
                self._report("failing" if failures >= _FAILING_AFTER else "delayed")
                await asyncio.sleep(
                    min(_FIRST_RETRY_SECS * 2 ** (failures - 1), _LONGEST_RETRY_SECS)
                )

    # What `Unwritten` asks for

    async def try_now(self, *, past: bool = True) -> bool:
        """See `Holder.try_now`."""
        return await self._attempt(past=past)

    def drop(self, *, safe: bool) -> int:
        """See `Holder.drop`."""
        for number, held in self._held.items():
            if held.safe == safe and isinstance(held.record, _DROPPED):
                del self._held[number]
                self._finished([] if safe else [held], written=[])
                return held.size
        return 0

    def only_here(self) -> Sequence[Record]:
        """See `Holder.only_here`."""
        return [held.record for held in self._held.values() if not held.safe]

    # Writing

    async def _attempt(self, *, past: bool) -> bool:
        """Write all there is. Gives whether the journal took it.

        Args:
            past: Whether what the journal does not take goes to the store behind it.
        """
        async with self._attempting:
            self._take_waiting()
            if self._held and not await self._earlier_calls_written(past=past):
                if past:
                    await self._go_past()
                return False
            while batch := self._next_batch():
                try:
                    await self._write_batch(batch)
                except StorageError as error:
                    waiting = len(self._held) + self._waiting.qsize()
                    logger.warning(f"{waiting} records wait to be written: {error}")
                    if past:
                        self._take_waiting()
                        await self._go_past()
                    return False
                self._take_waiting()
            self._store.unwritten.left(self)
            self._report("ok")
            return True

    async def _earlier_calls_written(self, *, past: bool) -> bool:
        """Whether the journal has all of the conversation's earlier calls, after an attempt.

        What they describe is refused once it is known that another call holds the conversation.
        """
        return all(
            [
                await earlier.try_now(past=past)
                for earlier in self._store.unwritten.before(self.call)
            ]
        )

    def _next_batch(self) -> dict[int, _Held]:
        held = iter(self._held.items())
        batch = dict(islice(held, _BATCH))
        if batch and isinstance([*batch.values()][-1].record, Transition):
            # What belongs to it.
            batch |= dict(islice(held, 1))
        return batch

    async def _write_batch(self, batch: dict[int, _Held]) -> None:
        try:
            await self._write([held.record for held in batch.values()])
            written = [*batch.values()]
        except RecordRefusedError:
            # One of them holds up the others: find it.
            written = [held for held in batch.values() if await self._try(held.record)]
        for number, held in batch.items():
            if self._held.pop(number, None):
                self._store.unwritten.taken(held.size)
        unsafe = [held for held in batch.values() if not held.safe]
        self._finished(unsafe, written=[held for held in written if not held.safe])

    async def _write(self, records: Sequence[Record]) -> None:
        while True:
            generation = self._store.generation
            ground = self._ground if generation != self._generation else ()
            try:
                await self._store.write([*ground, *records])
            except RecordRefusedError:
                # Begun anew this instant: they are refused for what is not there any more.
                if self._store.generation == generation:
                    raise
            else:
                self._generation = generation
                return

    async def _try(self, record: Record) -> bool:
        try:
            await self._write([record])
        except RecordRefusedError as error:
            logger.error(f"A record of {record.table} is refused for good and lost: {error}")
            return False
        return True

    async def _go_past(self) -> None:
        past = self._store.unwritten.past
        unsafe = [held for held in self._held.values() if not held.safe]
        # Whose place is not known yet cannot be anywhere else.
        placeless = any(isinstance(record, ProvisionalConversation) for record in self._ground)
        if past is None or placeless or not unsafe:
            return
        try:
            there = await past(self.call, [held.record for held in unsafe])
        except StorageError as error:
            logger.warning(f"Nor can they be brought past the journal: {error}")
            return
        reached = [held for held, is_there in zip(unsafe, there, strict=True) if is_there]
        for held in reached:
            held.safe = True
        self._finished(reached, written=reached)

    def _finished(self, done_with: Sequence[_Held], *, written: Sequence[_Held]) -> None:
        self._count_done(len(done_with), [held.record for held in written])

    def _count_done(self, number: int, written: Sequence[Record] = ()) -> None:
        if number:
            self._undone -= number
            if not self._undone:
                self._done.set()
            self._tell(self._on_written, written, number)

    def _take_waiting(self) -> None:
        while not self._waiting.empty():
            self._take(self._waiting.get_nowait())

    def _take(self, draft: Draft | None) -> None:
        if draft is None:
            self._ended = True
        elif record := _made(draft):
            self._number += 1
            held = self._held[self._number] = _Held(record, len(repr(record)))
            self._store.unwritten.held(self, held.size)
        else:
            self._count_done(1)

    def _report(self, health: StorageHealth) -> None:
        if health != self._health:
            self._health = health
            self._tell(self._on_health, health)

    def _tell(self, callback: Callable[[*_Args], None], *args: *_Args) -> None:
        # Closed: nobody is there to be told any more.
        with suppress(RuntimeError):
            self._calls.call_soon_threadsafe(callback, *args)


def _made(draft: Draft) -> Record | None:
    try:
        return draft()
    except ValidationError as error:
        # No more than the names: what it says of the values is what people said.
        wrong = {str(name) for each in error.errors() for name in each["loc"][:1]}
        logger.error(f"A record cannot be made and is lost. Wrong in it: {', '.join(wrong)}")
        return None
