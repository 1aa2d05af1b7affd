"""One call, from transport to farewell: puts the parts together, runs them, and sees the last
record into the store.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from loguru import logger
from pipecat.flows import FlowManager
from pipecat.frames.frames import ErrorFrame
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner
from pydantic import ValidationError

from sonora_app.actions.conversation_handler import ConversationHandler
from sonora_app.call.call import Call
from sonora_app.call.earlier_talk import EarlierTalk
from sonora_app.call.failures import Failures
from sonora_app.call.metrics import CallMetrics, UsageObserver, latency_observer
from sonora_app.call.muting import FlowMute
from sonora_app.call.pipeline import build_aggregators, build_pipeline
from sonora_app.call.services import build_services
from sonora_app.call.summary import describe_conversation
from sonora_app.call.time_limits import CallLimits
from sonora_app.call.transports import transport_name
from sonora_app.call.turn_recording import TurnWatcher
from sonora_app.call.who_speaks import Floor
from sonora_app.errors import ErrorCode, SonoraError
from sonora_app.page.protocol import Notice, SetConversationId, TurnLatency, UserTextMessage
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.settings import Settings
from sonora_app.storage.records import EndReason
from sonora_app.storage.store import Store

_CLIENT_READY_SECS = 3.0
"""How long after connecting a page that named its conversation in the `/start` request may take
to say that it is ready, before it is greeted anyway."""


class Session:
    """The parts of one call, joined.

    Args:
        transport: What the call comes in by.
        runner_args: What the runner knows of it.
        settings: The settings.
        store: Where conversations are kept.
    """

    def __init__(
        self,
        transport: BaseTransport,
        runner_args: RunnerArguments,
        *,
        settings: Settings,
        store: Store,
    ) -> None:
        """Take what the call is made of; `run` does the rest."""
        self._transport = transport
        self._runner_args = runner_args
        self._settings = settings
        self._store = store
        self._client_ready = asyncio.Event()
        self._client_connected = asyncio.Event()
        self._client_left = False
        self._call: Call | None = None
        self._worker: PipelineWorker | None = None
        self._keep_by: float | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Hold the call until it ends, and keep what was said in it."""
        settings = self._settings
        claim = _body_claim(self._runner_args.body)
        services = await build_services(settings, (claim and claim.language) or settings.language)
        page = ScreenedRTVIProcessor(on_typed=lambda text: watcher.user_typed(text))
        call = Call(
            settings=settings,
            store=self._store,
            services=services,
            page=page,
            transport=transport_name(self._transport),
        )
        handler = ConversationHandler(call, start=claim, send_text=_text_sender(page))
        page.gatekeeper = handler
        floor, metrics = Floor(), CallMetrics()
        limits = CallLimits(call, floor, open_unasked=handler.open_unasked)
        failures = Failures(call)
        call.on_move = lambda node: _moved(limits, failures, node)
        watcher = TurnWatcher(call, limits, failures)
        aggregators = build_aggregators(
            services,
            mute=FlowMute(lambda: call.user_muted, on_speech=lambda: _spoke_too_early(call)),
            idle_secs=settings.idle_secs,
        )
        watcher.watch(aggregators)
        earlier = EarlierTalk(call, aggregators)
        self._unsubscribe = self._store.subscribe(call.stored, call.storage_changed)
        waits = latency_observer(metrics, partial(_answered, page, watcher))
        page.observers = (floor, UsageObserver(metrics), waits)
        worker = PipelineWorker(
            build_pipeline(self._transport, services, aggregators),
            params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
            enable_turn_tracking=False,
            rtvi_processor=page,
            app_resources=call,
            # A silent, waiting bot would count as idle; limits.py keeps the time instead.
            idle_timeout_secs=None,
        )
        self._call, self._worker = call, worker
        call.connect(worker)
        self._follow(worker, call, handler, limits, failures)

        # process/stopping.py has the signals, and ends this call by `end`.
        runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
        try:
            await runner.add_workers(worker)
            await call.driver.start(
                FlowManager(
                    worker=worker,
                    # Generic over its adapter, and invariant in it, where any adapter would do.
                    llm=services.llm,  # pyright: ignore[reportArgumentType]
                    context_aggregator=aggregators,
                    transport=self._transport,
                ),
                call.prompt_facts(),
            )
            async with _background(
                handler.run(), limits.run(), self._open_from_body(claim, handler, call)
            ):
                if self._keep_by is not None:
                    await worker.cancel(reason="the process stops")
                await runner.run()
        finally:
            earlier.close()
            # Also when the host cancels the call: what was said is kept all the same.
            await asyncio.shield(self._close(call, aggregators, metrics))

    async def end(self, *, within_secs: float) -> None:
        """End the call at once, and tell the page why. `run` returns when it is kept.

        Args:
            within_secs: How long that may take, in seconds.
        """
        self._keep_by = asyncio.get_running_loop().time() + within_secs
        if self._call is not None and self._worker is not None:
            await self._call.tell_end(EndReason.SHUTDOWN)
            await self._worker.cancel(reason="the process stops")

    def _follow(
        self,
        worker: PipelineWorker,
        call: Call,
        handler: ConversationHandler,
        limits: CallLimits,
        failures: Failures,
    ) -> None:
        async def connected(*_: object) -> None:
            limits.client_connected()
            self._client_connected.set()

        async def disconnected(*_: object) -> None:
            self._client_left = True
            await worker.cancel(reason="the client left")

        async def client_ready(_: object) -> None:
            self._client_ready.set()

        async def client_message(_: object, message: rtvi.ClientMessage) -> None:
            handler.submit(message)

        async def failed(_: object, frame: ErrorFrame) -> None:
            await failures.failed(frame)

        self._transport.add_event_handler("on_client_connected", connected)
        self._transport.add_event_handler("on_client_disconnected", disconnected)
        call.page.add_event_handler("on_client_ready", client_ready)
        call.page.add_event_handler("on_client_message", client_message)
        worker.add_event_handler("on_pipeline_error", failed)

    async def _open_from_body(
        self, claim: SetConversationId | None, handler: ConversationHandler, call: Call
    ) -> None:
        await handler.prepare()
        if claim is None:
            return
        await self._client_connected.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLIENT_READY_SECS):
                await self._client_ready.wait()
        try:
            await handler.open_from_body()
        except SonoraError as error:
            logger.warning(f"The conversation of the start request cannot be opened: {error}")
            await call.page.tell(Notice(code=error.code, message=str(error)))

    async def _close(
        self,
        call: Call,
        aggregators: LLMContextAggregatorPair,
        metrics: CallMetrics,
    ) -> None:
        call.stop_reading()
        recorder = call.recorder
        if recorder is None:
            return
        reason = call.end_reason or (
            EndReason.CLIENT_LEFT if self._client_left else EndReason.SHUTDOWN
        )
        # First the end itself: the summary takes a while, and the host may not wait for it.
        recorder.end(reason, metrics=metrics.as_json())
        if call.undescribed:
            description = await describe_conversation(
                call.services.llm,
                aggregators.user().context,
                language=call.lines.text("prompt.language"),
                # Half of what is left: the description has to be written, too.
                timeout_secs=self._still(self._settings.summary_secs, share=0.5),
            )
            if description is not None:
                recorder.describe(**description.model_dump())
        await recorder.aclose(timeout_secs=self._still(self._settings.drain_secs))
        self._unsubscribe()
        if left := await self._store.settle(timeout_secs=self._still(self._settings.drain_secs)):
            logger.warning(f"{left} records stay in the journal until Supabase takes them")
        logger.info(f"Session ended ({reason}); conversation {recorder.conversation_id} is closed")

    def _still(self, secs: float, *, share: float = 1.0) -> float:
        """How much of `secs` a step of closing may take, where the process does not wait for it."""
        if self._keep_by is None:
            return secs
        left = self._keep_by - asyncio.get_running_loop().time()
        return min(secs, max(0.0, left * share))


def _body_claim(body: Any) -> SetConversationId | None:  # noqa: ANN401  # JSON from outside
    """What the `/start` request says of the conversation, or None when it says nothing of use."""
    if not isinstance(body, dict):
        return None
    named: dict[str, Any] = {
        key: value
        for key, value in body.items()  # pyright: ignore[reportUnknownVariableType]
        if key in SetConversationId.model_fields and value is not None
    }
    if not named.keys() & {"conversation_id", "user_id", "access_token"}:
        return None
    try:
        return SetConversationId.model_validate(named)
    except ValidationError:
        logger.warning("The start request names a conversation that cannot be used; waiting")
        return None


def _text_sender(
    page: ScreenedRTVIProcessor,
) -> Callable[[UserTextMessage, str], Awaitable[None]]:
    async def send_text(message: UserTextMessage, message_id: str) -> None:
        await page.handle_message(
            rtvi.Message(
                type="send-text",
                id=message_id,
                data={
                    "content": message.text,
                    "options": {"run_immediately": True, "audio_response": message.audio_response},
                },
            )
        )

    return send_text


def _spoke_too_early(call: Call) -> None:
    if call.driver.node == "waiting":
        call.page.tell_soon(
            Notice(
                code=ErrorCode.NOT_READY,
                message="The conversation is not open yet, so nobody is listening. "
                "Send set_conversation_id first.",
            )
        )


def _answered(page: ScreenedRTVIProcessor, watcher: TurnWatcher, latency: TurnLatency) -> None:
    watcher.answered(latency)
    page.tell_soon(latency)


def _moved(limits: CallLimits, failures: Failures, node: str) -> None:
    limits.moved_to(node)
    failures.moved_to(node)


@contextlib.asynccontextmanager
async def _background(*coroutines: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run coroutines beside the body, and end them with it."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error(f"A part of the call failed: {type(outcome).__name__}: {outcome}")
