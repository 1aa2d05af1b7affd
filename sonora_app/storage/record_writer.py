"""The side of a call's recording that is off the voice path: records are made and written here."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVarTuple

from loguru import logger
from pydantic import ValidationError

from sonora_app.errors import RecordRefusedError, StorageError
from sonora_app.storage.records import (
    Message,
    Record,
    RecordedCall,
    StorageHealth,
    Transition,
    uuid7,
)
from sonora_app.storage.side_loop import SideLoop

_Args = TypeVarTuple("_Args")

Draft = Callable[[], Record]
"""Makes a record of what happened, once and in its turn."""

_BATCH = 64
_FIRST_RETRY_SECS = 0.2
_LONGEST_RETRY_SECS = 10.0
_FAILING_AFTER = 3
"""Failed attempts in a row before storage counts as failing rather than delayed."""


class WritableStore(Protocol):
    """What recording needs of a store."""

    @property
    def side(self) -> SideLoop:
        """The loop to write from, where what goes with writing does not hold up calls."""
        ...

    async def write(self, records: Sequence[Record]) -> None:
        """Write `records` in order, all or none. See `Store.write`."""
        ...


class RecordWriter:
    """Makes records and sees them into the store. All of it runs on the store's side loop.

    Args:
        store: Where they go.
        call: The call they are of.
        on_written: Told, on the loop that made this, the records that were written, and how many
            are done with.
        on_health: Told there how storage is doing, when it changes.
    """

    def __init__(
        self,
        store: WritableStore,
        call: RecordedCall,
        on_written: Callable[[Sequence[Record], int], None],
        on_health: Callable[[StorageHealth], None],
    ) -> None:
        """Set up, on the loop of the call; `run` writes."""
        self._store = store
        self._call = call
        self._on_written = on_written
        self._on_health = on_health
        self._calls = asyncio.get_running_loop()
        self._health: StorageHealth = "ok"
        self._waiting: asyncio.Queue[Draft] = asyncio.Queue()
        self._in_hand = 0
        self._message_seq = call.last_message_seq
        self._transition_seq = call.last_transition_seq
        # Order is by time, which a clock that steps back, or another machine's, must not break.
        self._message_at = self._transition_at = call.last_message_at

    def take(self, draft: Draft) -> None:
        """Have a record made and written."""
        self._waiting.put_nowait(draft)

    async def drain(self) -> None:
        """Wait until everything taken so far is done with."""
        await self._waiting.join()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            drafts = [await self._waiting.get()]
            while len(drafts) < _BATCH and not self._waiting.empty():
                drafts.append(self._waiting.get_nowait())
            self._in_hand = len(drafts)
            records = [record for draft in drafts if (record := _made(draft))]
            try:
                written = await self._write(records)
            except RecordRefusedError:
                # One of them holds up the others: find it.
                written = [each for record in records for each in await self._try(record)]
            self._in_hand = 0
            self._tell(self._on_written, written, len(drafts))
            for _ in drafts:
                self._waiting.task_done()

    def message(self, moment: datetime, **fields: Any) -> Message:  # noqa: ANN401  # Message's
        """A message that began at `moment`, or just after the one before."""
        created_at = _after(self._message_at, moment)
        message = Message(
            id=uuid7(),
            conversation_id=self._call.conversation_id,
            session_id=self._call.session_id,
            seq=self._message_seq + 1,
            created_at=created_at,
            **fields,
        )
        self._message_seq += 1
        self._message_at = created_at
        return message

    def transition(self, moment: datetime, **fields: Any) -> Transition:  # noqa: ANN401
        """A step of the flow at `moment`, or just after the one before."""
        created_at = _after(self._transition_at, moment)
        transition = Transition(
            id=uuid7(),
            conversation_id=self._call.conversation_id,
            session_id=self._call.session_id,
            seq=self._transition_seq + 1,
            created_at=created_at,
            **fields,
        )
        self._transition_seq += 1
        self._transition_at = created_at
        return transition

    async def _try(self, record: Record) -> Sequence[Record]:
        try:
            return await self._write([record])
        except RecordRefusedError as error:
            logger.error(f"A record of {record.table} is refused for good and lost: {error}")
            return ()

    async def _write(self, records: Sequence[Record]) -> Sequence[Record]:
        """Write `records`, for as long as it takes; give them back."""
        failures = 0
        while True:
            try:
                await self._store.write(records)
            except RecordRefusedError:
                raise
            except StorageError as error:
                failures += 1
                waiting = self._waiting.qsize() + self._in_hand
                logger.warning(f"{waiting} records wait to be written: {error}")
                self._report("failing" if failures >= _FAILING_AFTER else "delayed")
                await asyncio.sleep(
                    min(_FIRST_RETRY_SECS * 2 ** (failures - 1), _LONGEST_RETRY_SECS)
                )
            else:
                self._report("ok")
                return records

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


def _after(earlier: datetime | None, moment: datetime) -> datetime:
    """`moment`, or the next one after `earlier` where that is later."""
    if earlier is None or moment > earlier:
        return moment
    return earlier + timedelta(microseconds=1)
