"""How long the user waited for an answer, as it is kept and told."""

import asyncio
import time

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ClientConnectedFrame,
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.call.measuring.metrics import CallMetrics, UsageObserver, WaitObserver
from sonora_app.page.protocol import TurnLatency
from sonora_app.vendors.frames import UserSpokeBrieflyFrame

pytestmark = pytest.mark.unit

SILENT_SECS, AGO_SECS = 0.2, 1.5
"""How long a pause of the user's is heard before it is told, and how long ago that was."""


@pytest.fixture
def metrics() -> CallMetrics:
    return CallMetrics()


@pytest.fixture
async def waits(metrics: CallMetrics) -> WaitObserver:
    """Measures a call that has begun, and whose user has just said something."""
    observer = WaitObserver(metrics)
    quiet = VADUserStoppedSpeakingFrame(stop_secs=SILENT_SECS, timestamp=time.time() - AGO_SECS)
    await pushed(observer, ClientConnectedFrame(), VADUserStartedSpeakingFrame(), quiet)
    return observer


async def pushed(observer: BaseObserver, *frames: Frame) -> None:
    for frame in frames:
        await observer.on_push_frame(
            FramePushed(
                source=IdentityFilter(),
                destination=IdentityFilter(),
                frame=frame,
                direction=FrameDirection.DOWNSTREAM,
                timestamp=0,
            )
        )


def answer() -> tuple[Frame, ...]:
    sound = TTSAudioRawFrame(audio=b"\0\0", sample_rate=24_000, num_channels=1)
    return LLMFullResponseStartFrame(), LLMTextFrame("Sí."), sound, BotStartedSpeakingFrame()


WORDS = TranscriptionFrame("Y otro a Sevilla.", "", "")
OVER = UserStoppedSpeakingFrame(), LLMContextUserTurnFrame(WORDS.text, "")


@pytest.mark.parametrize(
    "before",
    [
        (WORDS,),
        # Over the bot's speech, where it is the words that begin the turn and stop the bot.
        (WORDS, InterruptionFrame()),
    ],
)
async def test_an_answer_is_waited_for_since_the_voice_ended(
    waits: WaitObserver, metrics: CallMetrics, before: tuple[Frame, ...]
) -> None:
    told: list[TurnLatency] = []

    async def note(latency: TurnLatency) -> None:
        told.append(latency)

    waits.answered.add(note)
    await pushed(waits, *before, *OVER, *answer())
    await waits.cleanup()

    assert metrics.waits_ms == [pytest.approx((AGO_SECS + SILENT_SECS) * 1000, abs=500)]
    assert metrics.waits_ms == [latency.total_ms for latency in told]
    assert told[0].total_ms == pytest.approx(sum(told[0].parts_ms.values()), abs=1)
    assert min(told[0].parts_ms.values()) >= 0


async def test_a_sound_over_the_bots_speech_is_not_waited_for(
    waits: WaitObserver, metrics: CallMetrics
) -> None:
    await pushed(waits, *answer())
    await waits.cleanup()

    assert metrics.waits_ms == []


async def test_the_end_of_the_last_word_takes_nobodys_wait(
    waits: WaitObserver, metrics: CallMetrics
) -> None:
    """A turn may be over by its words while the last of them is still heard. A sound over the
    answer to it is another matter."""
    at = time.time()
    sound = (
        VADUserStartedSpeakingFrame(),
        VADUserStoppedSpeakingFrame(stop_secs=SILENT_SECS, timestamp=at),
    )
    await pushed(waits, WORDS, *OVER, *sound, *answer())
    while not metrics.waits_ms:
        await asyncio.sleep(0)
    await pushed(waits, *sound, *answer())
    await waits.cleanup()

    assert metrics.waits_ms == [pytest.approx(SILENT_SECS * 1000, abs=500)]


async def test_an_answer_to_a_voice_too_short_for_silero_is_waited_for_since_its_end(
    waits: WaitObserver, metrics: CallMetrics
) -> None:
    """The voice before it was heard over the bot's speech, and was no turn."""
    await pushed(waits, UserSpokeBrieflyFrame(quiet_secs=0.06), WORDS, *OVER, *answer())
    await waits.cleanup()

    assert metrics.waits_ms == [pytest.approx(60, abs=500)]


async def test_nobody_waits_for_what_the_bot_says_after_a_sound_without_words(
    waits: WaitObserver, metrics: CallMetrics
) -> None:
    await pushed(waits, UserStoppedSpeakingFrame(), *answer())
    await waits.cleanup()

    assert metrics.waits_ms == []


async def test_only_answers_that_were_asked_for_can_be_withdrawn(metrics: CallMetrics) -> None:
    """Flux also withdraws a guess over the bot's speech, which nobody was asked to answer."""
    usage = UsageObserver(metrics)
    await pushed(usage, EagerEndOfTurnCancelFrame())
    assert (metrics.early_answers_withdrawn, metrics.usage.asked) == (0, 0)
    guess = LLMContextFrame(context=LLMContext(), speculation=True)
    await pushed(usage, guess, EagerEndOfTurnCancelFrame(), EagerEndOfTurnCancelFrame())
    assert (metrics.early_answers_withdrawn, metrics.usage.asked) == (1, 1)
