"""The stand-in for speech synthesis, played in real time: what is heard, and when it ends."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from sonora_app.rehearsal.espeak import Engine, load_engine
from sonora_app.rehearsal.tts import RehearsalTTSService
from sonora_app.settings import Language

pytestmark = [pytest.mark.unit, pytest.mark.alone]

LONG = "Había una vez, en un pueblo muy lejano, una mujer que contaba historias sin parar. " * 40


def seconds(audio: bytes, sample_rate: int = 24_000) -> float:
    return len(audio) / 2 / sample_rate


async def made(engine: Engine, text: str, voice: str = "es-419") -> tuple[bytes, list]:
    audio, spoken = bytearray(), []
    async for piece in engine.speak(text, voice):
        audio += piece.audio
        spoken += piece.words
    return bytes(audio), spoken


def heard_by(context: LLMContext) -> list[str]:
    messages = [m for m in context.get_messages() if m["role"] == "assistant"]
    return " ".join(str(message["content"]) for message in messages).split()


class Speaker(BaseOutputTransport):
    """A real output transport whose other end plays in real time."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=24_000))
        self.played = bytearray()
        self.events: list[tuple[type[Frame], float]] = []

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate)
        self.played += frame.audio
        return True

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        self.events.append((type(frame), time.monotonic()))
        await super().push_frame(frame, direction)

    def when(self, kind: type[Frame]) -> float | None:
        return next((at for frame, at in self.events if frame is kind), None)

    async def until(self, kind: type[Frame], timeout_secs: float = 20) -> float:
        async with asyncio.timeout(timeout_secs):
            while (at := self.when(kind)) is None:
                await asyncio.sleep(0.005)
        return at


@asynccontextmanager
async def talking(
    language: Language = Language.ES,
) -> AsyncGenerator[tuple[PipelineWorker, Speaker, LLMContext]]:
    speaker, context = Speaker(), LLMContext()
    worker = PipelineWorker(
        Pipeline(
            [
                RehearsalTTSService(language),
                speaker,
                LLMContextAggregatorPair(context).assistant(),
            ]
        ),
        params=PipelineParams(audio_out_sample_rate=24_000),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    started = asyncio.Event()

    async def on_started(*_: object) -> None:
        started.set()

    worker.add_event_handler("on_pipeline_started", on_started)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(started.wait(), 30)
        yield worker, speaker, context
    finally:
        await worker.cancel()
        await running


async def test_the_bot_stops_speaking_when_the_sound_ends() -> None:
    async with talking() as (worker, speaker, context):
        await worker.queue_frame(TTSSpeakFrame("Sí, claro.", append_to_context=True))
        began = await speaker.until(BotStartedSpeakingFrame)
        ended = await speaker.until(BotStoppedSpeakingFrame)
        assert ended - began < seconds(bytes(speaker.played)) + 0.5
        assert heard_by(context) == ["Sí,", "claro."]


async def test_an_interruption_leaves_what_was_heard() -> None:
    text = "Uno, dos, tres, cuatro, cinco, seis, siete, ocho, nueve, diez, once y doce."
    async with talking() as (worker, speaker, context):
        await worker.queue_frame(TTSSpeakFrame(text, append_to_context=True))
        began = await speaker.until(BotStartedSpeakingFrame)
        await asyncio.sleep(2.0)
        await worker.queue_frame(InterruptionFrame())
        stopped = await speaker.until(BotStoppedSpeakingFrame)
        after = len(speaker.played)
        await asyncio.sleep(0.3)
        assert len(speaker.played) - after <= 2 * 24_000 * 0.04  # the chunk on its way
        heard = heard_by(context)
    assert text.split()[: len(heard)] == heard
    _, spoken = await made(load_engine(), text)
    expected = sum(secs < stopped - began for _, secs in spoken)
    assert 1 <= expected < len(spoken)
    assert abs(len(heard) - expected) <= 1


async def test_speech_goes_on_after_an_interruption() -> None:
    async with talking() as (worker, speaker, context):
        await worker.queue_frame(TTSSpeakFrame(LONG[:800], append_to_context=True))
        await speaker.until(BotStartedSpeakingFrame)
        await asyncio.sleep(0.5)  # by now all of it is made, and waits to be played
        await worker.queue_frame(InterruptionFrame())
        await speaker.until(BotStoppedSpeakingFrame)
        speaker.events.clear()
        await worker.queue_frame(TTSSpeakFrame("De acuerdo.", append_to_context=True))
        began = await speaker.until(BotStartedSpeakingFrame)
        ended = await speaker.until(BotStoppedSpeakingFrame)
        assert ended - began < 2.5
        assert await speaker.until(TTSTextFrame) - began < 0.25  # the first word, with its sound
        assert heard_by(context)[-2:] == ["De", "acuerdo."]
