"""The call's processors, in the order that audio flows through them."""

from collections.abc import Collection, Mapping, Sequence
from types import ModuleType

from pipecat.flows import FlowManager, FlowsFunctionSchema
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi import RTVIProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport
from pipecat.turns.user_mute import BaseUserMuteStrategy

from sonora_app.call.context.grounding import Grounding
from sonora_app.call.context.showing import Showing, ShowingResults
from sonora_app.call.going_on import GoingOn
from sonora_app.call.measuring.traced_turns import TracedPipeline, TracedTurns
from sonora_app.call.presence.heard import HeardWords
from sonora_app.call.presence.presence import Presence
from sonora_app.call.presence.unsent import give_up_unsent
from sonora_app.call.services import CallServices
from sonora_app.flow.driver import NO_TOOLS, FlowDriver
from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.pauses import PauseNoticingVADProcessor
from sonora_app.turns.replies.grammar import Replies

_NOTHING_HEARD_SECS = 2.5
"""How long after a sound that nothing was recognised in it counts as a turn without words; it is
answered only if it cut the bot off. Pipecat's own is 5 s. Longer than `HEARD_SECS` of
`vendors/deepgram/connection.py`, at which a recogniser that went mute is made to tell what it had
heard: a turn that ends just before that leaves these words without an answer."""


class EndOfListening(FrameProcessor):
    """Where the user's audio has been heard by all that listen to it.

    Pipecat passes every piece of it, 50 a second, on through all the processors of a pipeline:
    a queue, a task and a word to the observers at each.
    """

    def __init__(self) -> None:
        """Create the processor, which sees to frames at once and has no queue of its own."""
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on what is not the user's audio."""
        if isinstance(frame, InputAudioRawFrame):
            return
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


def build_aggregators(
    services: CallServices, *, mute: BaseUserMuteStrategy, idle_secs: float
) -> tuple[LLMContextAggregatorPair, GoingOn]:
    """The two ends of the model's context: what the user said, and what was heard of the answer.

    With them comes what joins the two parts of a turn that was cut off.

    Args:
        services: The call's services.
        mute: Whether the user is listened to at the moment.
        idle_secs: Silence from the user, in seconds, after which they count as idle.
    """
    context = LLMContext()
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=services.turns,
            user_mute_strategies=[mute],
            user_idle_timeout=idle_secs,
            user_turn_stop_timeout=_NOTHING_HEARD_SECS,
        ),
    )
    return pair, GoingOn(context, services.speech.clock, lambda: Replies(services.lines.language))


def build_pipeline(
    transport: BaseTransport,
    services: CallServices,
    aggregators: LLMContextAggregatorPair,
    presence: Presence,
    showing: Showing,
    going_on: GoingOn,
    grounding: Grounding | None = None,
    traced: TracedTurns | None = None,
) -> Pipeline:
    """Join the call's processors.

    Voice activity is found before the recogniser and not, as Pipecat does by default, in the
    user's aggregator: so it is also known while the user is not listened to, and can be
    answered, and the recogniser hears of it one hop sooner.
    """
    output = transport.output()
    if isinstance(output, BaseOutputTransport):
        give_up_unsent(output)
        # Outside of that, for what is held back is not late.
        services.speech.hold_at(output)
    processors = [
        transport.input(),
        PauseNoticingVADProcessor(services.vad, presence.sound_came, services.speech),
        services.stt,
        *([services.language_listener] if services.language_listener is not None else []),
        aggregators.user(),
        EndOfListening(),
        going_on,
        *([grounding] if grounding is not None else []),
        showing,
        services.llm,
        ShowingResults(showing),
        services.tts,
        output,
        HeardWords(presence, services.speech),
        aggregators.assistant(),
    ]
    return TracedPipeline(processors, traced.context) if traced else Pipeline(processors)


def build_worker(
    pipeline: Pipeline, page: RTVIProcessor, speech: BotSpeech, *, traced: bool = False
) -> PipelineWorker:
    """What runs a call's pipeline, with the page's end of the call at its front.

    Args:
        pipeline: The pipeline.
        page: The page's end of it.
        speech: The bot's speech, which keeps the clock.
        traced: Whether the services make spans.
    """
    return PipelineWorker(
        pipeline,
        clock=speech.clock,
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        # The turns and their spans are seen to by traced_turns.py.
        enable_turn_tracking=False,
        enable_tracing=traced,
        rtvi_processor=page,
        # A silent, waiting bot would count as idle; time_limits.py keeps the time instead.
        idle_timeout_secs=None,
    )


def build_driver(
    worker: PipelineWorker,
    services: CallServices,
    aggregators: LLMContextAggregatorPair,
    transport: BaseTransport,
    handlers: ModuleType,
    *,
    without: Collection[str],
    tools: Mapping[str, Sequence[FlowsFunctionSchema]] = NO_TOOLS,
) -> FlowDriver:
    """What moves the call through its flow; where there is nothing to do, nothing is offered."""
    manager = FlowManager(
        worker=worker,
        # Generic over its adapter, and invariant in it, where any adapter would do.
        llm=services.llm,  # pyright: ignore[reportArgumentType]
        context_aggregator=aggregators,
        transport=transport,
    )
    driver = FlowDriver(manager, handlers, without=without, tools=tools)
    for model in services.models:
        model.add_event_handler("on_function_calls_started", driver.abreast.called)
    return driver
