"""One call, from transport to farewell: runs its parts, ends it, and has it kept."""

import asyncio
import contextlib
from typing import Protocol
from uuid import UUID

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from sonora_app.call.beginning.holding import WAY_SECS, Holding
from sonora_app.call.call import Call
from sonora_app.call.earlier_talk import EarlierTalk
from sonora_app.call.ending.failures import Failures
from sonora_app.call.ending.time_limits import CallLimits
from sonora_app.call.keeping import Keeping, KeptCall
from sonora_app.call.measuring.traced import begin_traced_call
from sonora_app.call.reconnecting import Reconnections
from sonora_app.errors import ErrorCode, SonoraError
from sonora_app.runtime.background import running_beside
from sonora_app.storage.records import EndReason, JsonObject
from sonora_app.storage.store import Store

_CLIENT_READY_SECS = 3.0
"""How long after connecting a page that named its conversation in the `/start` request may take
to say that it is ready, before it is greeted anyway."""


class PageActions(Protocol):
    """Does what the page asks of one call."""

    async def run(self) -> None:
        """Do what the page asks for, until cancelled."""
        ...

    async def prepare(self) -> None:
        """Make ready, as far as possible, for the first message that asks for a conversation."""
        ...

    async def open_from_body(self) -> None:
        """Open the conversation that the `/start` request named.

        Raises:
            SonoraError: It cannot be opened; the call waits for a message that can.
        """
        ...

    async def nobody_asked(self) -> None:
        """See to a call whose page named no conversation in time."""
        ...


class Session:
    """One call that is held from here on. `building.py` makes it.

    Args:
        transport: What the call comes in by.
        call: The call.
        store: Where conversations are kept.
        actions: Does what the page asks.
        limits: Keeps the call's time.
        failures: Answers for the vendors.
        keeping: Keeps what was said when the call ends.
        earlier_talk: Keeps the prompt short.
        opens_itself: Whether the `/start` request names a conversation.
    """

    def __init__(
        self,
        transport: BaseTransport,
        call: Call,
        store: Store,
        actions: PageActions,
        limits: CallLimits,
        failures: Failures,
        keeping: Keeping,
        earlier_talk: EarlierTalk,
        opens_itself: bool,
    ) -> None:
        """Follow the transport from here on; `run` does the rest."""
        self._call = call
        self._actions = actions
        self._limits = limits
        self._failures = failures
        self._keeping = keeping
        self._earlier_talk = earlier_talk
        self._opens_itself = opens_itself
        self._client_ready = asyncio.Event()
        self._client_connected = asyncio.Event()
        self._client_left = False
        self._ending: EndReason | None = None
        self._holding = Holding(
            lambda: call.opened, store, lambda: self.give_way(within_secs=WAY_SECS)
        )
        Reconnections(call, transport)
        transport.add_event_handler("on_client_connected", self._connected)
        transport.add_event_handler("on_client_disconnected", self._disconnected)
        call.page.add_event_handler("on_client_ready", self._ready)
        call.worker.add_event_handler("on_pipeline_error", self._failed)

    async def run(self) -> None:
        """Hold the call until it ends, and keep what was said in it."""
        worker = self._call.worker
        begin_traced_call(traced=bool(self._call.settings.traces_url))
        # process/stopping.py has the signals, and ends this call by `end`.
        runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
        try:
            await runner.add_workers(worker)
            await self._call.start()
            async with running_beside(
                self._actions.run(),
                self._limits.run(),
                self._call.presence.run(),
                self._open_from_body(),
                self._holding.run(),
            ):
                if self._ending is not None:
                    await worker.cancel(reason="ended before it began")
                await runner.run()
        finally:
            self._earlier_talk.close()
            # Also when the host cancels the call: what was said is kept all the same.
            await asyncio.shield(self._keeping.run(self._end_reason))

    @property
    def id(self) -> UUID | None:
        """The id of the call; None while it has no conversation."""
        return self._call.opened.session_id if self._call.opened is not None else None

    @property
    def metrics(self) -> JsonObject:
        """What the call used so far, and how long its answers took."""
        return self._keeping.used()

    @property
    def kept(self) -> KeptCall | None:
        """The call as it is kept; None before that, and where it had no conversation."""
        return self._keeping.kept

    @property
    def user_id(self) -> str | None:
        """Who calls; None while that is not known, or nobody was named."""
        return self._call.user_id

    async def end(self, *, within_secs: float, reason: EndReason = EndReason.SHUTDOWN) -> None:
        """End the call at once, and tell the page why. `run` returns when it is kept.

        Args:
            within_secs: How long that may take, in seconds.
            reason: Why it ends. With `ERASED` nothing more is made of what was said.
        """
        if reason is EndReason.ERASED:
            if self._ending is reason:
                return
            self._keeping.leave_words()
        self._ending = reason
        self._keeping.hurry(within_secs)
        await self._call.tell_end(reason)
        await self._call.worker.cancel(reason=f"ended from outside: {reason}")

    def holds(self, conversation_id: UUID, owner_id: str | None) -> bool:
        """Whether the call talks in a conversation, which is `owner_id`'s."""
        opened = self._call.opened
        return opened is not None and (
            (opened.conversation_id, opened.owner_id) == (conversation_id, owner_id)
        )

    def talks_in(self, conversation_id: UUID) -> bool:
        """Whether the call talks in a conversation, or in what stands in for it."""
        opened = self._call.opened
        return opened is not None and conversation_id in (opened.conversation_id, opened.asked_for)

    @property
    def deserted(self) -> bool:
        """Whether nothing has come from the client for a moment, or the client has left."""
        return self._client_left or self._call.presence.missing

    @property
    def has_conversation(self) -> bool:
        """Whether the call has opened a conversation."""
        return self._call.opened is not None

    def only_take_over(self) -> None:
        """Have the call open no conversation but one that another call of the process talks in."""
        self._call.only_take_over()

    async def turn_away(self, message: str) -> None:
        """End a call that has no conversation, since there is no place for it; say so."""
        await self._call.page.notify(ErrorCode.AT_CAPACITY, message)
        await self.end(within_secs=WAY_SECS, reason=EndReason.NO_CONVERSATION)

    async def give_way(self, *, within_secs: float) -> None:
        """End the call at once, since another one of its conversation began. Tell the page why.

        Returns when what was said is kept.

        Args:
            within_secs: How long to wait for that at most, in seconds.
        """
        self._ending = self._ending or EndReason.TAKEN_OVER
        self._keeping.leave_summary()
        await self._call.tell_end(EndReason.TAKEN_OVER)
        await self._call.worker.cancel(reason="another call goes on with the conversation")
        await self._keeping.is_kept(within_secs=within_secs)

    @property
    def _end_reason(self) -> EndReason:
        return self._call.end_reason or (
            EndReason.CLIENT_LEFT if self._client_left else EndReason.SHUTDOWN
        )

    # --- What it follows

    async def _connected(self, *_: object) -> None:
        self._limits.client_connected()
        self._client_connected.set()

    async def _disconnected(self, *_: object) -> None:
        self._client_left = True
        await self._call.worker.cancel(reason="the client left")

    async def _ready(self, _: object) -> None:
        self._client_ready.set()

    async def _failed(self, _: object, frame: ErrorFrame) -> None:
        await self._failures.failed(frame)

    # --- Beginning and end

    async def _open_from_body(self) -> None:
        await self._actions.prepare()
        if not self._opens_itself:
            return
        await self._client_connected.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLIENT_READY_SECS):
                await self._client_ready.wait()
        try:
            await self._actions.open_from_body()
        except SonoraError as error:
            logger.warning(f"The conversation of the start request cannot be opened: {error}")
            page = self._call.page
            await page.notify(error.code, error.said_in(page.language))
