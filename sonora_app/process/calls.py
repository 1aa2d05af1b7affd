"""The calls that this process holds, and how they end when the process is asked to stop."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakValueDictionary

from loguru import logger

from sonora_app.errors import BusyError, ErrorCode
from sonora_app.runtime.memory import give_memory_back
from sonora_app.storage.records import EndReason, JsonObject
from sonora_app.wording.translation import worded

_CANCELLED_WITHIN_SECS = 1.0
"""How long a call that was cancelled may take until its task has ended."""


_BUSY_SECS, _STOPPED_SECS = 15, 5
"""After how long another attempt may pass, in seconds: another caller may have hung up, or another
process have taken over."""

_RETURN_SECS = 8.0
"""How long a call beyond the limit may take to go on with the conversation that it came back to, in
seconds: it connects, says that it is ready, and proves who calls."""


@dataclass(frozen=True)
class Refusal:
    """Why a call is not taken.

    Parameters:
        message: A sentence for the caller, worded.
        retry_secs: After how long another attempt makes sense, in seconds.
        code: Which error of the page's this is.
    """

    message: str
    retry_secs: int
    code: ErrorCode = ErrorCode.AT_CAPACITY


_BUSY = Refusal(BusyError().message, _BUSY_SECS)
_STOPPING = worded("This bot is being stopped. Try again in a moment.")


class Wish(Enum):
    """What a caller wants who does not name the conversation of a call that there was."""

    NEW = auto()
    """A conversation that nobody talks in."""
    UNSAID = auto()
    """Something that is still to be said, by a message."""


class EndableCall(Protocol):
    """A call that can be told to end."""

    @property
    def user_id(self) -> str | None:
        """Who calls; None while that is not known, or nobody was named."""
        ...

    @property
    def id(self) -> UUID | None:
        """The id of the call; None while it has no conversation."""
        ...

    @property
    def metrics(self) -> JsonObject:
        """What it used so far, and how long its answers took, as it will be kept with it."""
        ...

    def holds(self, conversation_id: UUID, owner_id: str | None) -> bool:
        """Whether it talks in a conversation, which is `owner_id`'s."""
        ...

    def talks_in(self, conversation_id: UUID) -> bool:
        """Whether it talks in a conversation, or in what stands in for it."""
        ...

    @property
    def deserted(self) -> bool:
        """Whether nothing has come from its client for a moment, or the client has left."""
        ...

    @property
    def has_conversation(self) -> bool:
        """Whether it has opened a conversation."""
        ...

    def only_take_over(self) -> None:
        """Have the call open no conversation but one that another call of the process talks in."""
        ...

    async def turn_away(self, message: str) -> None:
        """End a call that has no conversation, since there is no place for it; say so."""
        ...

    async def give_way(self, *, within_secs: float) -> None:
        """End the call at once, since another one of its conversation began. Tell its page why.

        Returns when what was said is kept.

        Args:
            within_secs: How long to wait for that at most, in seconds.
        """
        ...

    async def end(self, *, within_secs: float, reason: EndReason = EndReason.SHUTDOWN) -> None:
        """End the call at once, and tell its page why. Again changes nothing.

        Args:
            within_secs: How long it may then take to keep what was said, in seconds.
            reason: Why it ends.
        """
        ...


class Calls:
    """The calls in progress of one process.

    Attributes:
        limit: How many it holds at a time.
        stopping: Whether the process was asked to stop. It takes no call any more.
        misconfigured: What is wrong with this process, where it can take no call at all; or None.
    """

    def __init__(self, limit: int = sys.maxsize) -> None:
        """Hold no call yet."""
        self.limit = limit
        self.stopping = False
        self.misconfigured: str | None = None
        self._held: dict[asyncio.Task[Any], EndableCall] = {}
        self._expected: set[asyncio.Task[Any]] = set()
        # Each stays as long as a call holds it or waits for it.
        self._opening: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        """How many calls are in progress."""
        return len(self._held)

    def refusal(self, wish: UUID | Wish = Wish.NEW) -> Refusal | None:
        """Why no other call can be taken now, or None where one can.

        Args:
            wish: The conversation that it wants to go on with. Where one in progress talks in
                that, it will end for this one, which may be one beyond the limit until then. So
                may one that has not said yet what it wants, where the client of one in progress
                may be gone: it may be the same.
        """
        if self.misconfigured is not None:
            return Refusal(self.misconfigured, _STOPPED_SECS, ErrorCode.MISCONFIGURED)
        if self.stopping:
            return Refusal(_STOPPING, _STOPPED_SECS)
        taken = len(self._held.keys() | self._expected)
        spare = any(_may_end_for(call, wish) for call in self._held.values())
        return None if taken < self.limit + spare else _BUSY

    @contextlib.contextmanager
    def expecting(self, wish: UUID | Wish = Wish.NEW) -> Generator[Refusal | None]:
        """Keep a place for the call that this task is about to hold; gives why it cannot be.

        A call and the request that begins it are one task, for which one place is kept.

        Args:
            wish: See `refusal`.
        """
        task = _current_task()
        again = task in self._expected
        refusal = self.refusal(wish) if self.stopping or not again else None
        if refusal is None:
            self._expected.add(task)
        try:
            yield refusal
        finally:
            if not again:
                self._expected.discard(task)

    @contextlib.asynccontextmanager
    async def holding(self, call: EndableCall) -> AsyncGenerator[None]:
        """Count `call` as one in progress, until its last record is written; then tidy up.

        To be entered by the task that holds the call.
        """
        task = _current_task()
        self._held[task] = call
        returning = None
        if len(self._held) > self.limit:
            call.only_take_over()
            returning = asyncio.create_task(self._has_returned(call))
        try:
            yield
        finally:
            if returning is not None:
                returning.cancel()
            del self._held[task]
            await asyncio.to_thread(give_memory_back)

    def held(self) -> tuple[EndableCall, ...]:
        """The calls in progress, also those whose last records are still to be written."""
        return tuple(self._held.values())

    def metrics(self) -> dict[UUID, JsonObject]:
        """What each call in progress used so far, by its id."""
        return {call.id: call.metrics for call in self._held.values() if call.id is not None}

    async def end_all(self, *, within_secs: float) -> None:
        """End every call in progress, and return when each is kept.

        A call that has not ended in time is cancelled. What it has written by then is kept.

        Args:
            within_secs: How long they may take, in seconds.
        """
        self.stopping = True
        held = dict(self._held)
        if not held:
            return
        logger.info(f"Ending {len(held)} calls, since the process stops")
        for outcome in await asyncio.gather(
            *(call.end(within_secs=within_secs) for call in held.values()),
            return_exceptions=True,
        ):
            if isinstance(outcome, Exception):
                logger.opt(exception=outcome).error("A call cannot be ended")
        await self._cancel_after(within_secs)

    def has_place_in(self, conversation_id: UUID, owner_id: str | None) -> bool:
        """See `OtherCalls.has_place_in`."""
        return len(self._held) <= self.limit or any(
            call.holds(conversation_id, owner_id) for call in self._held.values()
        )

    @contextlib.asynccontextmanager
    async def opening(self, conversation_id: UUID) -> AsyncGenerator[None]:
        """See `OtherCalls.opening`."""
        async with self._opening.setdefault(conversation_id, asyncio.Lock()):
            yield

    async def make_way(
        self, conversation_id: UUID, owner_id: str | None, *, within_secs: float
    ) -> bool:
        """See `OtherCalls.make_way`."""
        held = [call for call in self._held.values() if call.holds(conversation_id, owner_id)]
        for outcome in await asyncio.gather(
            *(call.give_way(within_secs=within_secs) for call in held), return_exceptions=True
        ):
            if isinstance(outcome, Exception):
                logger.opt(exception=outcome).error("A call that was taken over cannot be ended")
        return bool(held)

    async def settled(self) -> None:
        """Wait until no call is in progress."""
        while self._held:
            await asyncio.wait(self._held, return_when=asyncio.ALL_COMPLETED)

    async def _has_returned(self, call: EndableCall) -> None:
        """See that a call beyond the limit goes on with a conversation that it came back to."""
        await asyncio.sleep(_RETURN_SECS)
        if not call.has_conversation:
            logger.warning("A call beyond the limit went on with no conversation: it ends")
            await call.turn_away(_BUSY.message)

    async def _cancel_after(self, secs: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(secs):
                await self.settled()
        late = list(self._held)
        if late:
            logger.error(f"{len(late)} calls did not end within {secs:g} s, and are cancelled")
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_CANCELLED_WITHIN_SECS)


def _may_end_for(call: EndableCall, wish: UUID | Wish) -> bool:
    """Whether a call in progress may end for one that is about to begin, with such a wish."""
    if isinstance(wish, UUID):
        return call.talks_in(wish)
    return wish is Wish.UNSAID and call.deserted


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine that runs is a task's
    return task


calls = Calls()
"""The calls of this process."""
