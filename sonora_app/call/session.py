"""One call, from transport to farewell: puts its parts together, runs them, and waits, within a
limit, for its last records to be stored.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import ModuleType
from typing import Protocol

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from sonora_app.call.call import Call
from sonora_app.call.earlier_talk import EarlierTalk
from sonora_app.call.failures import Failures
from sonora_app.call.grounding import KnowledgeSearch, build_grounding, observers_of
from sonora_app.call.metrics import CallMetrics, UsageObserver, WaitObserver
from sonora_app.call.muting import FlowMute
from sonora_app.call.pipeline import (
    build_aggregators,
    build_driver,
    build_pipeline,
    build_worker,
)
from sonora_app.call.reach import Reach
from sonora_app.call.reconnecting import Reconnections
from sonora_app.call.remembering import withheld_functions
from sonora_app.call.services import build_services
from sonora_app.call.summary import look_back
from sonora_app.call.time_limits import CallLimits
from sonora_app.call.transports import transport_name
from sonora_app.call.turn_recording import TurnWatcher
from sonora_app.call.who_speaks import WhoSpeaks
from sonora_app.errors import SonoraError
from sonora_app.page.protocol import Notice, SetConversationId
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.page.start_request import parse_start_request
from sonora_app.runtime.background import running_beside
from sonora_app.settings import Settings
from sonora_app.storage.records import EndReason
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


async def build_session(
    transport: BaseTransport,
    runner_args: RunnerArguments,
    *,
    settings: Settings,
    store: Store,
    handlers: ModuleType,
    actions: Callable[[Call, SetConversationId | None], PageActions],
    search: KnowledgeSearch | None = None,
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
    """
    start = parse_start_request(runner_args.body)
    services = await build_services(settings, (start and start.language) or settings.language)
    who_speaks, mute, waits = WhoSpeaks(), FlowMute(), WaitObserver(metrics := CallMetrics())
    reach = Reach(getattr(runner_args, "webrtc_connection", None))
    grounding = build_grounding(search, services, settings)
    watching = (who_speaks, UsageObserver(metrics), waits, *observers_of(grounding))
    page = ScreenedRTVIProcessor(observers=watching)
    aggregators = build_aggregators(services, mute=mute, idle_secs=settings.idle_secs)
    worker = build_worker(build_pipeline(transport, services, aggregators, reach, grounding), page)
    without = withheld_functions(settings, knows=grounding is not None)
    call = Call(
        settings=settings,
        store=store,
        services=services,
        page=page,
        transport=transport_name(transport),
        mute=mute,
        worker=worker,
        reach=reach,
        driver=build_driver(worker, services, aggregators, transport, handlers, without=without),
        grounding=grounding,
    )
    acts = actions(call, start)
    limits = CallLimits(call, who_speaks, nobody_asked=acts.nobody_asked)
    failures = Failures(call)
    turns = TurnWatcher(call, limits, failures, aggregators=aggregators, waits=waits)
    return Session(
        transport,
        call,
        store=store,
        actions=acts,
        limits=limits,
        failures=failures,
        turns=turns,
        metrics=metrics,
        earlier_talk=EarlierTalk(call, aggregators),
        context=aggregators.user().context,
        opens_itself=start is not None,
    )


class Session:
    """One call that is held from here on. Made by `build_session`.

    Args:
        transport: What the call comes in by.
        call: The call.
        store: Where conversations are kept.
        actions: Does what the page asks.
        limits: Keeps the call's time.
        failures: Answers for the vendors.
        turns: Records what is said.
        metrics: What the call used.
        earlier_talk: Keeps the prompt short.
        context: What the model is told.
        opens_itself: Whether the `/start` request names a conversation.
    """

    def __init__(
        self,
        transport: BaseTransport,
        call: Call,
        *,
        store: Store,
        actions: PageActions,
        limits: CallLimits,
        failures: Failures,
        turns: TurnWatcher,
        metrics: CallMetrics,
        earlier_talk: EarlierTalk,
        context: LLMContext,
        opens_itself: bool,
    ) -> None:
        """Follow the transport from here on; `run` does the rest."""
        self._call = call
        self._store = store
        self._actions = actions
        self._limits = limits
        self._failures = failures
        self._turns = turns
        self._metrics = metrics
        self._earlier_talk = earlier_talk
        self._context = context
        self._opens_itself = opens_itself
        self._client_ready = asyncio.Event()
        self._client_connected = asyncio.Event()
        self._client_left = False
        self._keep_by: float | None = None
        self._erased = False
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
                self._call.reach.run(),
                self._open_from_body(),
            ):
                if self._keep_by is not None:
                    await worker.cancel(reason="the process stops")
                await runner.run()
        finally:
            self._earlier_talk.close()
            # Also when the host cancels the call: what was said is kept all the same.
            await asyncio.shield(self._close())

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
            if self._erased:
                return
            self._erased = True
        self._keep_by = asyncio.get_running_loop().time() + within_secs
        await self._call.tell_end(reason)
        await self._call.worker.cancel(reason=f"ended from outside: {reason}")

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

    async def _close(self) -> None:
        call, settings = self._call, self._call.settings
        call.stop_reading()
        self._turns.record_typed()
        recorder = call.recorder
        if recorder is None:
            return
        reason = call.end_reason or (
            EndReason.CLIENT_LEFT if self._client_left else EndReason.SHUTDOWN
        )
        # First the end itself: the summary takes a while, and the host may not wait for it.
        recorder.end(reason, metrics=self._metrics.as_json())
        if (call.undescribed or call.memory.reviews) and not self._erased:
            told = await look_back(
                call.services.llm,
                self._context,
                language=call.lines.text("prompt.language"),
                # Half of what is left: the description has to be written, too.
                timeout_secs=self._still(settings.summary_secs, share=0.5),
                person=call.memory.person if call.memory.reviews else None,
                turns=call.memory.turns,
            )
            # Whoever is being erased may be so since it was asked for.
            if told.description is not None and call.undescribed and not self._erased:
                recorder.describe(**told.description.model_dump())
            if told.review is not None and not self._erased:
                call.memory.review(told.review)
        await recorder.aclose(timeout_secs=self._still(settings.drain_secs))
        call.stop_reporting()
        if left := await self._store.settle(timeout_secs=self._still(settings.drain_secs)):
            logger.warning(f"{left} records stay in the journal until Supabase takes them")
        logger.info(f"Session ended ({reason}); conversation {recorder.conversation_id} is closed")

    def _still(self, secs: float, *, share: float = 1.0) -> float:
        """How much of `secs` a step of closing may take, where the process does not wait for it."""
        if self._keep_by is None:
            return secs
        left = self._keep_by - asyncio.get_running_loop().time()
        return min(secs, max(0.0, left * share))
