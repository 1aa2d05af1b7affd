"""What is said is recognised on this machine: a whole call by voice alone, with a real model."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import soxr
from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from simulators.clients.bot_process import BotProcess
from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE, Page, page
from simulators.local_models import english_voice, whisper_base
from simulators.vendors.rig import rigged
from sonora_app.flow.lines import Lines
from sonora_app.local.hearing import Hearing
from sonora_app.local.piper import PiperVoice
from sonora_app.local.preparation import State
from sonora_app.local.recognition import RATE, Recognised, Recogniser
from sonora_app.local.stt import LocalSTTService
from sonora_app.settings import Language
from sonora_app.turns.detectors import build_silero
from sonora_app.turns.pauses import PauseNoticingVADProcessor
from tests.session.conftest import transcript_of
from tests.whisper import recognising_bot

pytestmark = pytest.mark.session


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_base(tmp_path_factory.mktemp("whisper-base"))


@pytest.fixture(scope="module")
def bot(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    with recognising_bot(tmp_path_factory.mktemp("recognition"), folder) as bot:
        yield bot


async def say(client: Page, text: str) -> None:
    # Without commas: this voice pauses there for longer than people do, which may end the turn.
    await client.silence(0.6, timeout_secs=30)
    client.microphone.say(await speech(text))
    await client.microphone.said()


# Words that are recognised late are words that nobody waits for any more.
@pytest.mark.alone
async def test_the_flow_is_walked_by_voice_alone(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        opened = await client.action("set_conversation_id", user_id=f"user-{uuid4()}")
        conversation_id: str = opened["data"]["d"]["conversation_id"]
        await client.event("node-changed", node="conversation")
        await say(client, "Quiero planear un viaje largo.")
        await client.event("message-recorded", seq=3, timeout_secs=30)
        await say(client, "Eso es todo muchas gracias.")
        await client.event("node-changed", node="wrap_up", timeout_secs=30)
        await client.event("message-recorded", seq=5, timeout_secs=30)
        await say(client, "Muchas gracias hasta luego.")
        ended = await client.event("conversation-ended", timeout_secs=40)
        assert ended["reason"] == "goodbye"
        await asyncio.wait_for(client.closed.wait(), 30)

    transcript = await transcript_of(bot, conversation_id)
    said = [m for m in transcript.messages if m.role == "user"]
    assert {m.modality.value for m in said} == {"voice"}
    assert "viaje" in said[0].content
    assert "Eso es todo" in said[1].content
    assert "hasta luego" in said[2].content.lower()
    assert said[0].metadata == {"local": ["stt"]}
    assert transcript.conversation.metadata["stand_ins"] == ["llm", "tts"]


async def test_what_piper_says_is_understood(folder: Path) -> None:
    voice = PiperVoice(english_voice())
    pieces = [piece.audio async for piece in voice.speak("I would like to travel to the coast.")]
    spoken = np.frombuffer(b"".join(pieces), np.int16).astype(np.float32) / 32768
    samples = soxr.resample(spoken, voice.sample_rate, RATE).astype(np.float32)
    heard = Recogniser(folder).recognise(samples, Language.EN, lambda: True)
    assert "travel to the coast" in heard.text.lower()

    # Where Spanish is expected, it is told to be English if the call may change to that.
    part = Recogniser(folder)
    service = LocalSTTService(Lines(Language.ES), Hearing(State.READY, part=part), either=True)
    audio = (samples * 32767).astype(np.int16).tobytes()
    async with rigged(service) as rig:
        await rig.send(VADUserStartedSpeakingFrame(), InputAudioRawFrame(audio, RATE, 1))
        await rig.send(VADUserStoppedSpeakingFrame())
        frame = await rig.get(TranscriptionFrame, timeout_secs=30)
    assert (frame.language, "travel to the coast" in frame.text.lower()) == ("en", True)


async def test_short_answers_are_words_and_noise_is_none(folder: Path) -> None:
    recogniser = Recogniser(folder)

    def recognised(samples: np.ndarray) -> Recognised:
        return recogniser.recognise(samples.astype(np.float32), Language.ES, lambda: True)

    # This voice's "sí" is more than base can tell.
    spoken = (await speech("No.")).astype(np.float32) / 32768
    answer = recognised(soxr.resample(spoken, MIC_RATE, RATE))
    # Heard out, a word may come twice.
    assert {*answer.text.lower().replace(".", " ").split()} == {"no"}
    noise = np.random.default_rng(1)
    for secs in (1, 3):
        assert recognised(np.zeros(secs * RATE)).text == ""
        assert recognised(noise.normal(size=secs * RATE) * 0.02).text == ""
    nobody = recogniser.recognise(np.ones(RATE, np.float32), Language.ES, lambda: False)
    assert nobody.text == ""


async def test_words_on_both_sides_of_a_pause_come_once(folder: Path) -> None:
    hearing = Hearing(State.READY, part=Recogniser(folder))
    service = LocalSTTService(Lines(Language.ES), hearing)
    parts = [await speech(text) for text in ("Quiero viajar a la montaña", "y luego a la playa")]
    pause = np.zeros(int(0.4 * MIC_RATE), np.int16)
    sound = np.concatenate([pause, pause, parts[0], pause, parts[1], pause, pause])
    samples = np.asarray(soxr.resample(sound, MIC_RATE, RATE), np.int16)
    async with rigged(PauseNoticingVADProcessor(build_silero()), service) as rig:
        for start in range(0, len(samples), RATE // 50):
            piece = samples[start : start + RATE // 50].tobytes()
            await rig.send(InputAudioRawFrame(piece, RATE, 1))
        await rig.get(TranscriptionFrame, len(parts), timeout_secs=30)
        # The second part has been said by the time that the first is recognised.
        assert [frame.finalized for frame in rig.all(TranscriptionFrame)] == [False, True]
    first, second = [frame.text.lower() for frame in rig.all(TranscriptionFrame)]
    assert "montaña" in first
    assert second.startswith("y luego")
