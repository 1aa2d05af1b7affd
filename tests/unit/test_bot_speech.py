"""The bot's speech can be held back and go on, and tells what it asks."""

import asyncio
import time

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from sonora_app.turns.bot_speech import BotSpeech

pytestmark = pytest.mark.unit

PACKET = OutputAudioRawFrame(bytes(640), 16_000, 1)


class Loudspeaker(BaseOutputTransport):
    """Takes all sound at once, or once it is let."""

    played = 0

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.takes = asyncio.Event()
        self.takes.set()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await self.takes.wait()
        self.played += 1
        return True


async def follow(speech: BotSpeech, *frames: Frame) -> None:
    processor = FrameProcessor()
    for frame in frames:
        await speech.on_push_frame(
            FramePushed(processor, processor, frame, FrameDirection.DOWNSTREAM, 0, first_push=True)
        )


def word(text: str, pts: int) -> TTSTextFrame:
    frame = TTSTextFrame(text, "word")
    frame.pts = pts
    return frame


async def held(speech: BotSpeech, loudspeaker: Loudspeaker) -> asyncio.Task[bool]:
    """A piece of sound that is being held back."""
    writing = asyncio.create_task(loudspeaker.write_audio_frame(PACKET))
    await asyncio.sleep(0.01)
    assert not writing.done()
    return writing


async def test_what_is_held_back_goes_on_from_there_and_the_clock_with_it() -> None:
    speech, loudspeaker = BotSpeech(), Loudspeaker(TransportParams())
    speech.hold_at(loudspeaker)
    speech.clock.start()
    assert await loudspeaker.write_audio_frame(PACKET)
    speech.hold()
    stands_at = speech.clock.get_time()
    later = asyncio.create_task(speech.reached(stands_at + 5_000_000))
    writing = await held(speech, loudspeaker)
    assert speech.clock.get_time() == stands_at
    assert not later.done()
    speech.go_on()
    assert await writing
    assert loudspeaker.played == 2
    await later
    assert 5_000_000 <= speech.clock.get_time() - stands_at < 500_000_000


async def test_the_clock_stands_still_while_sound_is_late_and_goes_back_never() -> None:
    speech, loudspeaker = BotSpeech(), Loudspeaker(TransportParams())
    loudspeaker.takes.clear()
    speech.hold_at(loudspeaker)
    speech.clock.start()
    writing = asyncio.create_task(loudspeaker.write_audio_frame(PACKET))
    await asyncio.sleep(0.01)
    time.sleep(1.0)  # noqa: ASYNC251  # the stall
    stands_at = speech.clock.get_time()
    assert stands_at < 300_000_000
    time.sleep(0.2)  # noqa: ASYNC251
    assert speech.clock.get_time() == stands_at
    loudspeaker.takes.set()
    assert await writing
    goes_on_from = speech.clock.get_time()
    assert stands_at <= goes_on_from < 500_000_000
    await asyncio.sleep(0.05)
    assert speech.clock.get_time() >= goes_on_from + 50_000_000


async def test_the_clock_stands_still_in_a_stall_between_two_pieces_and_not_in_silence() -> None:
    speech = BotSpeech()
    speech.clock.start()
    with speech.clock.sending():
        pass
    time.sleep(1.0)  # noqa: ASYNC251  # the stall
    with speech.clock.sending():
        assert speech.clock.get_time() < 300_000_000
    await asyncio.sleep(0.5)
    assert speech.clock.get_time() > 500_000_000
    time.sleep(0.3)  # noqa: ASYNC251
    assert speech.clock.get_time() > 800_000_000


async def test_the_time_in_which_late_sound_is_held_back_counts_once() -> None:
    speech = BotSpeech()
    speech.clock.start()
    began = time.monotonic_ns()
    with speech.clock.sending():
        await asyncio.sleep(0.3)
        speech.hold()
        await asyncio.sleep(0.3)
        speech.go_on()
        assert speech.clock.get_time() <= 200_000_000
        await asyncio.sleep(0.1)
    shown, passed = speech.clock.get_time(), time.monotonic_ns() - began
    assert 200_000_000 < shown < passed - 400_000_000


async def test_what_is_cut_is_dropped() -> None:
    speech, loudspeaker = BotSpeech(), Loudspeaker(TransportParams())
    speech.hold_at(loudspeaker)
    speech.hold()
    writing = await held(speech, loudspeaker)
    speech.cut()
    speech.go_on()
    assert not await writing
    assert await loudspeaker.write_audio_frame(PACKET)
    assert loudspeaker.played == 1


async def test_a_question_is_asked_while_it_is_said_and_until_the_bot_says_something_else() -> None:
    speech = BotSpeech()
    words = [
        "Hay",
        "mesa",
        "el",
        "martes",
        "por",
        "la",
        "tarde.",
        "¿Te",
        "parece",
        "bien",
        "a",
        "esa",
        "hora?",
        "Si",
        "no,",
        "busco",
        "otra.",
    ]
    speech.clock.start()
    now = speech.clock.get_time()
    await follow(speech, LLMFullResponseStartFrame())
    await follow(speech, *[LLMTextFrame(f"{each} ") for each in words], BotStartedSpeakingFrame())
    await follow(speech, *[word(each, now) for each in words[:3]])
    assert not speech.asks
    assert speech.asked() == "Hay mesa el martes por la tarde."
    await follow(speech, *[word(each, now) for each in words[3:9]])
    assert speech.asks
    assert speech.asked().endswith("¿Te parece bien a esa hora?")
    await follow(speech, InterruptionFrame(), BotStoppedSpeakingFrame())
    assert speech.asked().endswith("¿Te parece bien a esa hora?")
    await follow(speech, TTSSpeakFrame("Un momento."))
    assert speech.asked() == "Un momento."


async def test_what_is_said_at_its_end_may_answer_it() -> None:
    speech = BotSpeech()
    words = ["Dime", "entonces", "qué", "día", "te", "viene", "mejor", "a", "ti."]
    speech.clock.start()
    now = speech.clock.get_time()
    await follow(speech, TTSSpeakFrame(" ".join(words)), BotStartedSpeakingFrame())
    await follow(speech, *[word(each, now) for each in words[:4]])
    assert not speech.asks
    await follow(speech, *[word(each, now) for each in words[4:6]])
    assert speech.asks
