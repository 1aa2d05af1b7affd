"""One call, from transport to farewell: puts its parts together, runs them, has them kept."""

import asyncio
import contextlib
from collections.abc import Callable
from types import ModuleType
from typing import Protocol
from uuid import UUID

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from sonora_app.call.call import Call
from sonora_app.call.earlier_talk import EarlierTalk
from sonora_app.call.failures import Failures
from sonora_app.call.grounding import KnowledgeSearch, build_grounding, observers_of
from sonora_app.call.holding import WAY_SECS, Holding, OtherCalls
from sonora_app.call.keeping import Keeping
from sonora_app.call.metrics import CallMetrics, UsageObserver, WaitObserver
from sonora_app.call.muting import FlowMute
from sonora_app.call.pipeline import (
    build_aggregators,
    build_driver,
    build_pipeline,
    build_worker,
)
from sonora_app.call.presence import Presence
from sonora_app.call.reconnecting import Reconnections
from sonora_app.call.remembering import withheld_functions
from sonora_app.call.services import build_services
from sonora_app.call.showing import build_showing
from sonora_app.call.time_limits import CallLimits
from sonora_app.call.tool_calls import build_tools
from sonora_app.call.transports import transport_name
from sonora_app.call.turn_recording import TurnWatcher
from sonora_app.call.who_speaks import WhoSpeaks
from sonora_app.errors import ErrorCode, SonoraError
from sonora_app.files.attachment import Keeper
from sonora_app.page.protocol import Notice, SetConversationId
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.page.start_request import parse_start_request
from sonora_app.runtime.background import running_beside
from sonora_app.settings import Settings
from sonora_app.storage.records import EndReason
from sonora_app.storage.store import Store
from sonora_app.tools.toolbox import NO_TOOLBOX, Toolbox

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


async def build_session(
    transport: BaseTransport,
    runner_args: RunnerArguments,
    *,
    settings: Settings,
    store: Store,
    handlers: ModuleType,
    actions: Callable[[Call, SetConversationId | None], PageActions],
    search: KnowledgeSearch | None = None,
    keeper: Keeper | None = None,
    others: OtherCalls | None = None,
    toolbox: Toolbox = NO_TOOLBOX,
) -> "Session":
    """Put the parts of one call together, each complete when it is made.

    Args:
        transport: What the call comes in by.
        runner_args: What the runner knows of it.
        settings: The settings.
        store: Where conversations are kept.
        handlers: What the functions and actions of the flow do.
        actions: Makes what does what the page asks, of the call and its `/start` request.
        search: Finds what the documents say; None where there are none.
        keeper: Keeps the pictures and documents that are shown; None keeps none.
        others: The other calls of this process; None knows of none.
        toolbox: What the model can have done.
    """
    start = parse_start_request(runner_args.body)
    services = await build_services(settings, (start and start.language) or settings.language)
    who_speaks, mute, waits = WhoSpeaks(), FlowMute(), WaitObserver(metrics := CallMetrics())
    peer = Presence(getattr(runner_args, "webrtc_connection", None))
    grounding = build_grounding(search, services, settings)
    showing, tools = build_showing(keeper, services, settings), build_tools(toolbox)
    watching = (who_speaks, UsageObserver(metrics), waits, *observers_of(grounding), *tools.watch)
    page = ScreenedRTVIProcessor(observers=watching)
    aggregators = build_aggregators(services, mute=mute, idle_secs=settings.idle_secs)
    pipeline = build_pipeline(transport, services, aggregators, peer, showing, grounding)
    worker = build_worker(pipeline, page)
    without = withheld_functions(settings, knows=grounding is not None)
    parts = (worker, services, aggregators, transport, handlers)
    driver = build_driver(*parts, without=without, tools=tools.functions())
    call = Call(
        settings=settings,
        store=store,
        services=services,
        page=page,
        transport=transport_name(transport),
        mute=mute,
        worker=worker,
        presence=peer,
        driver=driver,
        showing=showing,
        grounding=grounding,
        tools=tools,
        others=others,
    )
    acts = actions(call, start)
    limits = CallLimits(call, who_speaks, nobody_asked=acts.nobody_asked)
    watched = (limits, aggregators, waits, metrics)
    return _watched_session(transport, call, store, acts, watched, opens_itself=start is not None)


def _watched_session(
    transport: BaseTransport,
    call: Call,
    store: Store,
    acts: PageActions,
    watched: tuple[CallLimits, LLMContextAggregatorPair, WaitObserver, CallMetrics],
    *,
    opens_itself: bool,
) -> "Session":
    """A call with what follows its turns and keeps them."""
    (limits, aggregators, waits, metrics), failures = watched, Failures(call)
    turns = TurnWatcher(call, limits, failures, aggregators=aggregators, waits=waits)
    keeping = Keeping(call, store, turns, metrics, aggregators.user().context)
    earlier = EarlierTalk(call, aggregators)
    return Session(transport, call, store, acts, limits, failures, keeping, earlier, opens_itself)


class Session:
    """One call that is held from here on. Made by `build_session`.

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

    async def turn_away(self, message: str) -> None:
        """End a call that has no conversation, since there is no place for it; say so."""
        await self._call.page.tell(Notice(code=ErrorCode.AT_CAPACITY, message=message))
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
            await self._call.page.tell(Notice(code=error.code, message=str(error)))
