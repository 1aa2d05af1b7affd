"""Puts the parts of one call together, each complete when it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from pipecat.observers.base_observer import BaseObserver
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_transport import BaseTransport

from sonora_app.call.asking import Asking
from sonora_app.call.beginning.holding import OtherCalls
from sonora_app.call.call import Call
from sonora_app.call.context.grounding import (
    Grounding,
    KnowledgeSearch,
    build_grounding,
    observers_of,
)
from sonora_app.call.context.memory_use import withheld_functions
from sonora_app.call.context.showing import build_showing
from sonora_app.call.earlier_talk import EarlierTalk
from sonora_app.call.ending.failures import Failures
from sonora_app.call.ending.time_limits import CallLimits
from sonora_app.call.going_on import GoingOn
from sonora_app.call.keeping import Keeping
from sonora_app.call.language_change import follow_language
from sonora_app.call.measuring.metrics import CallMetrics, UsageObserver, WaitObserver
from sonora_app.call.measuring.traced_turns import TracedTurns
from sonora_app.call.measuring.turn_log import TurnLog
from sonora_app.call.pipeline import (
    build_aggregators,
    build_driver,
    build_pipeline,
    build_worker,
)
from sonora_app.call.presence.muting import FlowMute
from sonora_app.call.presence.presence import Presence
from sonora_app.call.presence.who_speaks import WhoSpeaks
from sonora_app.call.reading_ahead import read_ahead
from sonora_app.call.services import CallServices, build_services
from sonora_app.call.session import PageActions, Session
from sonora_app.call.tools.calls import ToolCalls, build_tools
from sonora_app.call.transports import transport_name
from sonora_app.call.turn_recording import TurnWatcher
from sonora_app.files.attachment import Keeper
from sonora_app.page.protocol import SetConversationId
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.page.start_request import parse_start_request
from sonora_app.settings import Settings
from sonora_app.storage.store import Store
from sonora_app.tools.toolbox import NO_TOOLBOX, Toolbox


@dataclass(frozen=True)
class _Watchers:
    """What watches a call from beside its pipeline.

    Parameters:
        metrics: Counts what the call uses.
        who_speaks: Tells who is speaking.
        waits: Measures how long answers take.
        traced: Makes the spans of the call; None where no traces are sent.
    """

    metrics: CallMetrics
    who_speaks: WhoSpeaks
    waits: WaitObserver
    traced: TracedTurns | None

    @classmethod
    def of(cls, settings: Settings) -> "_Watchers":
        """Those of one call."""
        metrics = CallMetrics()
        waits = WaitObserver(metrics)
        traced = TracedTurns(waits) if settings.traces_url else None
        return cls(metrics, WhoSpeaks(), waits, traced)

    def observers(
        self, services: CallServices, tools: ToolCalls, grounding: Grounding | None
    ) -> list[BaseObserver]:
        """All that observes the pipeline, in the order in which each is told of a frame."""
        return [
            services.speech,
            self.who_speaks,
            UsageObserver(self.metrics),
            self.waits,
            *([self.traced] if self.traced is not None else []),
            *tools.watch,
            *observers_of(grounding),
        ]


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
) -> Session:
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
    watchers, mute = _Watchers.of(settings), FlowMute()
    peer = Presence(getattr(runner_args, "webrtc_connection", None))
    grounding = build_grounding(search, services, settings)
    showing, tools = build_showing(keeper, services, settings), build_tools(toolbox)
    observers = watchers.observers(services, tools, grounding)
    page = ScreenedRTVIProcessor(observers, settings.language.value)
    pair, joins = build_aggregators(services, mute=mute, idle_secs=settings.idle_secs)
    traced = watchers.traced
    pipeline = build_pipeline(transport, services, pair, peer, showing, joins, grounding, traced)
    worker = build_worker(pipeline, page, services.speech, traced=traced is not None)
    without = withheld_functions(settings, knows=grounding is not None)
    driver = build_driver(
        worker, services, pair, transport, handlers, without=without, tools=tools.functions()
    )
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
    return _watched_session(transport, call, store, acts, watchers, pair, joins, start is not None)


def _watched_session(
    transport: BaseTransport,
    call: Call,
    store: Store,
    acts: PageActions,
    watchers: _Watchers,
    aggregators: LLMContextAggregatorPair,
    going_on: GoingOn,
    opens_itself: bool,
) -> Session:
    """A call with what follows its turns and keeps them."""
    metrics = watchers.metrics
    limits = CallLimits(call, watchers.who_speaks, nobody_asked=acts.nobody_asked)
    read_ahead(call)
    follow_language(call, going_on)
    if call.settings.is_local and call.settings.prompts_kept:
        Asking(call, store.requests, conversations=call.settings.prompts_kept)
    failures = Failures(call)
    turns = TurnWatcher(
        call,
        limits,
        failures,
        aggregators=aggregators,
        metrics=metrics,
        waits=watchers.waits,
        log=TurnLog(metrics),
        going_on=going_on,
    )
    keeping = Keeping(call, store, turns, metrics, aggregators.user().context)
    earlier = EarlierTalk(call, aggregators)
    return Session(transport, call, store, acts, limits, failures, keeping, earlier, opens_itself)
