"""The call's processors, in the order that audio flows through them."""

from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.turns.user_mute import BaseUserMuteStrategy

from sonora_app.services import CallServices


def build_aggregators(
    services: CallServices, *, mute: BaseUserMuteStrategy, idle_secs: float
) -> LLMContextAggregatorPair:
    """The two ends of the model's context: what the user said, and what was heard of the answer.

    Args:
        services: The call's services.
        mute: Whether the user is listened to at the moment.
        idle_secs: Silence from the user, in seconds, after which they count as idle.
    """
    return LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=services.turns,
            user_mute_strategies=[mute],
            user_idle_timeout=idle_secs,
        ),
    )


def build_pipeline(
    transport: BaseTransport, services: CallServices, aggregators: LLMContextAggregatorPair
) -> Pipeline:
    """Join the call's processors.

    Voice activity is found before the recogniser and not, as Pipecat does by default, in the
    user's aggregator: so it is also known while the user is not listened to, and can be
    answered, and the recogniser hears of it one hop sooner.
    """
    return Pipeline(
        [
            transport.input(),
            VADProcessor(vad_analyzer=services.vad),
            services.stt,
            aggregators.user(),
            services.llm,
            services.tts,
            transport.output(),
            aggregators.assistant(),
        ]
    )
