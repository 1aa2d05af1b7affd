"""The stand-in for speech synthesis: what is heard, when each word is, and when it stops."""

import asyncio
import gc
import time
from collections.abc import Sequence

import numpy as np
import pytest
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData, TTSUsageMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transcriptions.language import Language as PipecatLanguage

from sonora_app.rehearsal.espeak import Engine, load_engine
from sonora_app.rehearsal.tts import RehearsalTTSService
from sonora_app.settings import Language

pytestmark = pytest.mark.unit

SPANISH = [
    "Hola, soy Sonora. ¿De qué te gustaría hablar?",
    "¡Claro! Tengo 25 años y 3,5 € en el bolsillo; ¿y tú?",
    "Él dijo: «No quiero irme» (o eso creo) — y se fue…",
    "El 12/05/2024 a las 10:30 h. costó $1.234,56.",
    "El Sr. García y la Dra. López viven en la c/ Mayor, n.º 3, 2º B.",
    "EE. UU. y la ONU, el IVA del 21 %.",
    "—Hola —dijo—. ¿Qué tal?",
    "Pingüino, señorío, ÁÉÍÓÚ, ñandú: «todas», 'estas' y “aquellas”.",
    "Visita https://example.com/a?b=c o escribe a ana@correo.mx, por favor.",
    "Los 1000000 de votos… ¿eran 12345678901234567890? ¡No!",
    "... ¿eh? ...",
    "Uno\ndos\n\ntres   cuatro",
    "El número −5 y el 3/4: ½ kilo.",
]
ENGLISH = [
    "Hello, I'm Sonora. What would you like to talk about?",
    "It's 25 dollars; \"yes\" (ok), 3.14 and e.g. that — isn't it?",
]
LONG = "Había una vez, en un pueblo muy lejano, una mujer que contaba historias sin parar. " * 40


def speech(frames: Sequence[Frame]) -> bytes:
    return b"".join(frame.audio for frame in frames if isinstance(frame, TTSAudioRawFrame))


def seconds(audio: bytes, sample_rate: int = 24_000) -> float:
    return len(audio) / 2 / sample_rate


def words(frames: Sequence[Frame]) -> list[str]:
    return [word for f in frames if isinstance(f, TTSTextFrame) for word in f.text.split()]


async def said(tts: RehearsalTTSService, *frames: Frame, **params: bool) -> list[Frame]:
    down, _ = await run_test(
        tts, frames_to_send=frames, pipeline_params=PipelineParams(**params), start_timeout=10
    )
    return list(down)


async def made(engine: Engine, text: str, voice: str = "es-419") -> tuple[bytes, list]:
    audio, spoken = bytearray(), []
    async for piece in engine.speak(text, voice):
        audio += piece.audio
        spoken += piece.words
    return bytes(audio), spoken


# --- What is heard


@pytest.mark.parametrize(
    ("language", "text"), [(Language.ES, t) for t in SPANISH[:2]] + [(Language.EN, ENGLISH[0])]
)
async def test_speech_sounds_like_speech_and_takes_its_time(language: Language, text: str) -> None:
    audio = speech(await said(RehearsalTTSService(language), TTSSpeakFrame(text)))
    assert 8 < len(text) / seconds(audio) < 25  # characters a second
    samples = np.frombuffer(audio, np.int16).astype(float)
    assert 800 < np.sqrt((samples**2).mean()) < 12_000
    assert np.abs(samples).max() < 32_767  # not clipped

    vad = SileroVADAnalyzer(sample_rate=16_000)
    vad.set_sample_rate(16_000)
    at_16k = samples[(np.arange(int(len(samples) * 2 / 3)) * 1.5).astype(int)].astype(np.int16)
    size = vad.num_frames_required()
    confidences = [
        vad.voice_confidence(at_16k[i : i + size].tobytes())
        for i in range(0, len(at_16k) - size, size)
    ]
    assert np.mean(np.array(confidences) > 0.7) > 0.5
    await vad.cleanup()


async def test_each_language_has_its_own_sounds() -> None:
    text = "1999, 777, 55555."  # read out in the language's own words
    spanish, english = [
        speech(await said(RehearsalTTSService(language), TTSSpeakFrame(text)))
        for language in Language
    ]
    assert abs(seconds(spanish) - seconds(english)) > 0.5


async def test_the_language_changes_in_mid_call_with_frames_meant_for_cartesia() -> None:
    change = CartesiaTTSService.Settings(
        language=PipecatLanguage.EN, voice="f786b574-daa5-4673-aa0c-cbe3e8534c02"
    )
    text = "Hello, how are you today?"
    tts = RehearsalTTSService(Language.ES)
    down = await said(
        tts,
        TTSSpeakFrame(text),
        TTSUpdateSettingsFrame(delta=change),
        TTSSpeakFrame(text),
    )
    turns = dict[str | None, bytes]()
    for frame in down:
        if isinstance(frame, TTSAudioRawFrame):
            turns[frame.context_id] = turns.get(frame.context_id, b"") + frame.audio
    assert tts._settings.voice is None
    before, after = turns.values()
    english = speech(await said(RehearsalTTSService(Language.EN), TTSSpeakFrame(text)))
    assert seconds(after) == pytest.approx(seconds(english), abs=0.02)
    assert abs(seconds(before) - seconds(english)) > 0.05
    assert not any(isinstance(frame, ErrorFrame) for frame in down)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 22_050, 48_000])
async def test_audio_comes_at_the_rate_of_the_pipeline(sample_rate: int) -> None:
    text = SPANISH[0]
    down, _ = await run_test(
        RehearsalTTSService(Language.ES),
        frames_to_send=[TTSSpeakFrame(text)],
        pipeline_params=PipelineParams(audio_out_sample_rate=sample_rate),
        start_timeout=10,
    )
    assert {f.sample_rate for f in down if isinstance(f, TTSAudioRawFrame)} == {sample_rate}
    pure, _ = await made(load_engine(), text)
    assert seconds(speech(down), sample_rate) == pytest.approx(seconds(pure, 22_050), abs=0.01)


# --- Words


@pytest.mark.parametrize("text", SPANISH + ENGLISH)
async def test_the_context_gets_the_text_word_for_word(text: str) -> None:
    tts = RehearsalTTSService(Language.ES if text in SPANISH else Language.EN)
    context = LLMContext()
    assistant = LLMContextAggregatorPair(context).assistant()
    await run_test(
        Pipeline([tts, assistant]),
        frames_to_send=[TTSSpeakFrame(text, append_to_context=True)],
        start_timeout=10,
    )
    assert heard_by(context) == text.split()


def heard_by(context: LLMContext) -> list[str]:
    messages = [m for m in context.get_messages() if m["role"] == "assistant"]
    return " ".join(str(message["content"]) for message in messages).split()


async def test_several_sentences_of_a_turn_are_one_turn_with_words_in_time() -> None:
    answer = ["Me gusta mucho. ", "¿Sabes ", "por qué? ", "Porque «sí», ", "claro."]
    down = await said(
        RehearsalTTSService(Language.ES),
        LLMFullResponseStartFrame(),
        *[LLMTextFrame(piece) for piece in answer],
        LLMFullResponseEndFrame(),
    )
    assert words(down) == "".join(answer).split()
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in down) == 1
    timed = [f.pts for f in down if isinstance(f, TTSTextFrame) and f.pts]
    assert timed == sorted(timed)
    span = (timed[-1] - timed[0]) / 1e9
    assert seconds(speech(down)) - 1.5 < span < seconds(speech(down))


async def test_the_words_of_the_next_turn_wait_until_this_one_is_heard() -> None:
    down = await said(
        RehearsalTTSService(Language.ES),
        TTSSpeakFrame("Primero esto, que dura un rato largo."),
        TTSSpeakFrame("Después."),
    )
    first = next(f for f in down if isinstance(f, TTSTextFrame))
    last = [f for f in down if isinstance(f, TTSTextFrame)][-1]
    turn = first.context_id
    audio = speech([f for f in down if getattr(f, "context_id", None) == turn])
    assert last.text == "Después."
    assert first.pts
    assert last.pts
    assert (last.pts - first.pts) / 1e9 == pytest.approx(seconds(audio), abs=0.05)


# --- Behaviour in a call


async def test_the_first_sound_comes_at_once_and_is_measured() -> None:
    down = await said(
        RehearsalTTSService(Language.ES),
        TTSSpeakFrame("Hola."),
        *[frame for text in SPANISH[:4] for frame in (SleepFrame(0.1), TTSSpeakFrame(text))],
        enable_metrics=True,
        enable_usage_metrics=True,
    )
    data = [item for f in down if isinstance(f, MetricsFrame) for item in f.data]
    waits = [item.value for item in data if isinstance(item, TTFBMetricsData) and item.value]
    assert min(waits) < 0.05
    assert [i.value for i in data if isinstance(i, TTSUsageMetricsData)] == [
        len(text) for text in ["Hola.", *SPANISH[:4]]
    ]


# A processor that is shared is slower, which a thread's own time does not leave out.
@pytest.mark.alone
async def test_the_event_loop_is_never_held(request: pytest.FixtureRequest) -> None:
    longest = 0.0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not done.is_set():
            # The thread's own time: what other processes take of the machine is not ours.
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    tts = RehearsalTTSService(Language.ES)
    await said(tts, TTSSpeakFrame("Hola."))  # what is loaded once is loaded
    # To look through what other tests have left takes 20 ms and more.
    gc.freeze()
    request.addfinalizer(gc.unfreeze)
    watching = asyncio.create_task(watch())
    audio, _ = await made(load_engine(), LONG)
    # Pipecat's own account of the words grows with the text: 51 ms for the whole of LONG.
    down = await said(RehearsalTTSService(Language.ES), TTSSpeakFrame(LONG[:800]))
    done.set()
    await watching
    assert seconds(audio, 22_050) > 100
    assert seconds(speech(down)) > 30
    assert longest < 0.02


async def test_two_calls_at_once_do_not_mix() -> None:
    turns = [(Language.ES, SPANISH[0] * 5), (Language.EN, ENGLISH[0] * 5)]
    alone = [speech(await said(RehearsalTTSService(lang), TTSSpeakFrame(t))) for lang, t in turns]
    together = await asyncio.gather(
        *[said(RehearsalTTSService(language), TTSSpeakFrame(text)) for language, text in turns * 3]
    )
    for down, (_, text), reference in zip(together, turns * 3, alone * 3, strict=True):
        assert words(down) == text.split()
        assert seconds(speech(down)) == pytest.approx(seconds(reference), abs=0.05)


@pytest.mark.parametrize("text", ["…", "¿?", "—", "😶‍🌫️", "中"])
async def test_a_text_without_sound_ends_its_turn_in_order(text: str) -> None:
    began = time.monotonic()
    down = await said(RehearsalTTSService(Language.ES), TTSSpeakFrame(text), TTSSpeakFrame("Sí."))
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in down) == 2
    assert not any(isinstance(frame, ErrorFrame) for frame in down)
    assert time.monotonic() - began < 2.5  # and not the three seconds after which Pipecat gives up


async def test_a_voice_that_does_not_exist_is_an_error_and_the_next_turn_speaks() -> None:
    began = time.monotonic()
    down, up = await run_test(
        RehearsalTTSService(Language.ES),
        frames_to_send=[
            TTSUpdateSettingsFrame(delta=CartesiaTTSService.Settings(language="zz")),
            TTSSpeakFrame("Hola."),
            TTSUpdateSettingsFrame(delta=CartesiaTTSService.Settings(language="es")),
            TTSSpeakFrame("Hola."),
        ],
        start_timeout=10,
    )
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert any("no voice zz" in error for error in errors)
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in down) == 2
    assert 0.2 < seconds(speech(down)) < 0.6
    assert time.monotonic() - began < 2.5
