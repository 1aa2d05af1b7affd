"""What was said before an interruption does not come after it."""

import asyncio

import pytest
from pipecat.frames.frames import Frame, InterruptionFrame, TextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from simulators.vendors.rig import rigged
from sonora_app.call.presence.heard import HeardWords
from sonora_app.call.presence.presence import Presence
from sonora_app.turns.bot_speech import BotSpeech

pytestmark = pytest.mark.unit

CUE = "now"


class CutOff(FrameProcessor):
    """Says a word and is interrupted in the same instant."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame) and frame.text == CUE:
            await self.push_frame(TextFrame(text="magnolia"))
            await self.push_frame(InterruptionFrame())
        else:
            await self.push_frame(frame, direction)


class Reader(FrameProcessor):
    """Notes what it is given, in the order in which it sees to it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame | InterruptionFrame):
            self.seen.append(type(frame).__name__)
        await self.push_frame(frame, direction)


async def test_a_word_that_was_said_just_before_an_interruption_is_read_before_it() -> None:
    reader = Reader()
    pipeline = Pipeline([CutOff(), HeardWords(Presence(None), BotSpeech()), reader])
    await run_test(pipeline, frames_to_send=[TextFrame(text=CUE)])
    assert reader.seen == ["TextFrame", "InterruptionFrame"]


class CutOffInAWord(FrameProcessor):
    """Has a word to say while it passes an interruption on, as Pipecat's output may."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._turns = turns

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame) and frame.text == CUE:
            word = asyncio.create_task(self._say_word())
            await self.push_frame(InterruptionFrame())
            word.cancel()
        else:
            await self.push_frame(frame, direction)

    async def _say_word(self) -> None:
        for _ in range(self._turns):
            await asyncio.sleep(0)
        await self.push_frame(TextFrame(text="magnolia"))


@pytest.mark.parametrize("turns", range(6))
async def test_a_word_that_comes_while_an_interruption_is_passed_on_is_none(turns: int) -> None:
    reader = Reader()
    pipeline = Pipeline([CutOffInAWord(turns), HeardWords(Presence(None), BotSpeech()), reader])
    await run_test(pipeline, frames_to_send=[TextFrame(text=CUE)])
    assert reader.seen == ["InterruptionFrame"]


async def test_a_word_that_is_held_back_from_its_first_sound_on_is_not_heard() -> None:
    speech = BotSpeech()
    speech.clock.start()

    def word() -> TextFrame:
        frame = TextFrame(text="magnolia")
        frame.pts = speech.clock.get_time()
        return frame

    async with rigged(HeardWords(Presence(None), speech)) as rig:
        speech.hold()
        await rig.send(word())
        await asyncio.sleep(0.1)
        assert not rig.all(TextFrame)
        speech.go_on()
        await rig.get(TextFrame)
        speech.hold()
        await rig.send(word())
        await asyncio.sleep(0.1)
        await rig.send(InterruptionFrame())
        await rig.get(InterruptionFrame)
        speech.go_on()
        await asyncio.sleep(0.1)
        assert len(rig.all(TextFrame)) == 1
