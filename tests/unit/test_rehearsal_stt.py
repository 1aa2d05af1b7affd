"""The stand-in for speech recognition: that speech was heard, and for how long."""

import asyncio
import re
import time

import numpy as np
import pytest
import soxr
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    MetricsFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transcriptions.language import Language as PipecatLanguage

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.espeak import load_engine
from sonora_app.rehearsal.heard import Heard, read_heard, write_heard
from sonora_app.rehearsal.stt import RehearsalSTTService, speech_secs
from sonora_app.settings import Language

pytestmark = pytest.mark.unit

RATE = 16_000
ES, EN = Lines(Language.ES), Lines(Language.EN)


def noise(secs: float, loudness: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, loudness, int(secs * RATE))


async def voice(text: str) -> np.ndarray:
    audio = b"".join([piece.audio async for piece in load_engine().speak(text, "es-419")])
    samples = soxr.resample(np.frombuffer(audio, np.int16).astype(float), 22_050, RATE)
    loud = np.flatnonzero(np.abs(samples) > 300)
    return samples[loud[0] : loud[-1]]


def tone(secs: float, loudness: float = 4_000) -> np.ndarray:
    time_axis = np.arange(int(secs * RATE)) / RATE
    return loudness * np.sin(2 * np.pi * 220 * time_axis)


def pcm(*parts: np.ndarray) -> bytes:
    return np.concatenate(parts).clip(-32_768, 32_767).astype("<i2").tobytes()


def frames_of(audio: bytes) -> list[Frame]:
    size = RATE * 2 // 50
    return [InputAudioRawFrame(audio[i : i + size], RATE, 1) for i in range(0, len(audio), size)]


def segment(audio: bytes) -> list[Frame]:
    """What comes by when voice activity is noticed 0.2 s after it begins, and after it ends."""
    frames = frames_of(audio)
    return [
        *frames[:60],
        VADUserStartedSpeakingFrame(start_secs=0.2),
        *frames[60:],
        VADUserStoppedSpeakingFrame(stop_secs=0.2),
        SleepFrame(0.1),
    ]


async def transcripts(stt: RehearsalSTTService, *frames: Frame) -> list[TranscriptionFrame]:
    down, _ = await run_test(
        stt,
        frames_to_send=frames,
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=10,
    )
    return [frame for frame in down if isinstance(frame, TranscriptionFrame)]


def reported_secs(transcript: TranscriptionFrame) -> float:
    return read_heard(transcript.text).secs


# --- How long


@pytest.mark.parametrize("secs", [0.2, 0.5, 1.0, 2.3, 7.0])
@pytest.mark.parametrize("background", [0, 20, 300])
@pytest.mark.parametrize("offset", [0, 5_000])
def test_speech_is_measured_without_the_silence_around_it(
    secs: float, background: float, offset: float
) -> None:
    silence = [noise(1.0, background, 1) + offset, noise(0.4, background, 2) + offset]
    speech = tone(secs) + noise(secs, background, 3) + offset
    assert speech_secs(pcm(silence[0], speech, silence[1]), RATE) == pytest.approx(secs, abs=0.06)


def test_pauses_within_speech_count() -> None:
    audio = pcm(noise(0.6, 10), tone(0.8), noise(0.5, 10), tone(0.3), noise(0.2, 10))
    assert speech_secs(audio, RATE) == pytest.approx(1.6, abs=0.06)


@pytest.mark.parametrize("background", [0, 30, 300])
@pytest.mark.parametrize(
    "text",
    [
        "Hola.",
        "Sí, claro que sí.",
        "Me llamo Ana y me gustan los perros, los gatos y las tortugas.",
    ],
)
async def test_a_voice_is_measured_within_two_tenths(text: str, background: float) -> None:
    spoken = await voice(text)
    truth = len(spoken) / RATE
    silence = noise(1.0, background, 1), noise(0.2, background, 2)
    audio = pcm(silence[0], spoken + noise(truth, background, 3)[: len(spoken)], silence[1])
    assert speech_secs(audio, RATE) == pytest.approx(truth, abs=0.2)


@pytest.mark.parametrize("audio", [b"", b"\0", b"\0" * 100, bytes(2 * RATE)])
def test_silence_and_nothing_are_no_trouble(audio: bytes) -> None:
    assert speech_secs(audio, RATE) == pytest.approx(len(audio) / 2 / RATE, abs=0.02)


# --- In a pipeline


async def test_one_transcript_for_one_stretch_of_speech_found_by_the_real_detector() -> None:
    spoken = await voice("Me llamo Ana y me gustan los perros grandes y las tortugas pequeñas")
    audio = pcm(noise(1.5, 40, 1), spoken, noise(1.0, 40, 2))
    stt = RehearsalSTTService(ES)
    down, _ = await run_test(
        Pipeline([VADProcessor(vad_analyzer=SileroVADAnalyzer()), stt]),
        frames_to_send=[*frames_of(audio), SleepFrame(1.0)],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=10,
    )
    [heard] = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert re.fullmatch(r"\[habla sin transcribir, \d+,\d segundos\]", heard.text)
    assert reported_secs(heard) == pytest.approx(len(spoken) / RATE, abs=0.2)
    assert heard.finalized
    assert heard.language == PipecatLanguage.ES


async def test_each_stretch_of_speech_has_its_own_transcript() -> None:
    first = pcm(noise(1.0, 10), tone(1.5), noise(0.2, 10))
    second = pcm(noise(1.0, 10), tone(3.0), noise(0.2, 10))
    heard = await transcripts(RehearsalSTTService(ES), *segment(first), *segment(second))
    assert [reported_secs(h) for h in heard] == pytest.approx([1.5, 3.0], abs=0.1)


async def test_it_writes_in_the_language_of_the_call() -> None:
    audio = pcm(noise(1.0, 10), tone(2.3), noise(0.2, 10))
    stt = RehearsalSTTService(ES)
    [spanish] = await transcripts(stt, *segment(audio))
    assert spanish.text == "[habla sin transcribir, 2,3 segundos]"

    stt = RehearsalSTTService(ES)
    stt.set_lines(EN)
    # Frames meant for Deepgram come by as well.
    change = DeepgramSTTService.Settings(language=PipecatLanguage.EN)
    [english] = await transcripts(stt, STTUpdateSettingsFrame(delta=change), *segment(audio))
    assert english.text == "[speech not transcribed, 2.3 seconds]"
    assert english.language == PipecatLanguage.EN


async def test_what_is_said_while_muted_is_not_heard() -> None:
    audio = pcm(noise(1.0, 10), tone(1.0), noise(0.2, 10))
    muted = [STTMuteFrame(mute=True), SleepFrame(0.05), *segment(audio)]
    unmuted = [STTMuteFrame(mute=False), SleepFrame(0.05), *segment(audio)]
    heard = await transcripts(RehearsalSTTService(ES), *muted)
    assert heard == []
    heard = await transcripts(RehearsalSTTService(ES), *muted, *unmuted)
    assert [reported_secs(h) for h in heard] == pytest.approx([1.0], abs=0.1)


class Stopwatch(BaseObserver):
    def __init__(self, stt: RehearsalSTTService) -> None:
        super().__init__()
        self.stt = stt
        self.stopped = self.heard = 0.0

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is self.stt and isinstance(data.frame, VADUserStoppedSpeakingFrame):
            self.stopped = time.monotonic()
        if data.source is self.stt and isinstance(data.frame, TranscriptionFrame):
            self.heard = time.monotonic()


@pytest.mark.alone
async def test_it_answers_at_once_and_says_so() -> None:
    stt = RehearsalSTTService(ES)
    watch = Stopwatch(stt)
    promised = stt.service_metadata_frame().ttfs_p99_latency
    # From the end of speech, that is before the 0.2 s of silence by which it is noticed.
    assert 0.2 < promised <= 0.3
    audio = pcm(noise(1.0, 10), tone(20.0), noise(0.2, 10))
    down, _ = await run_test(
        stt,
        frames_to_send=segment(audio),
        observers=[watch],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE, enable_metrics=True),
        start_timeout=10,
    )
    assert watch.stopped > 0
    assert watch.heard - watch.stopped < 0.1
    data = [item for f in down if isinstance(f, MetricsFrame) for item in f.data]
    assert any(isinstance(item, TTFBMetricsData) and item.value > 0 for item in data)


# --- The text that stands for speech


@pytest.mark.parametrize("lines", [ES, EN])
def test_what_is_written_can_be_read(lines: Lines) -> None:
    assert read_heard(write_heard(12.34, lines)) == Heard(text="", secs=12.3)


def test_speech_and_words_of_one_message_are_told_apart() -> None:
    message = f"Hola {write_heard(1.5, ES)}  ¿qué tal? {write_heard(2.0, EN)}"
    assert read_heard(message) == Heard(text="Hola ¿qué tal?", secs=3.5)
    assert read_heard("sin más [habla]") == Heard(text="sin más [habla]", secs=0)


def test_measuring_a_long_segment_does_not_hold_the_event_loop() -> None:
    async def measure() -> float:
        stt = RehearsalSTTService(ES)
        stt._sample_rate = RATE
        longest = 0.0
        audio = pcm(tone(60.0))

        async def run() -> None:
            async for _ in stt.run_stt(audio):
                pass

        running = asyncio.create_task(run())
        while not running.done():
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)
        return longest

    assert asyncio.run(measure()) < 0.02
