"""A natural voice on this machine: real Piper, with a real voice, fetched as from the hub."""

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pipecat.frames.frames import TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame, TTSTextFrame

from simulators.local_models import english_voice
from simulators.vendors.model_hub import ModelHub, model_hub
from simulators.vendors.rig import rigged
from sonora_app.doctor.speech_checks import examine_speaking
from sonora_app.local.catalogue import find_model, is_here
from sonora_app.local.fetching import address_of
from sonora_app.local.piper import PiperVoice
from sonora_app.local.preparation import State
from sonora_app.local.speaking import Speaking
from sonora_app.local.tts import LocalTTSService
from sonora_app.settings import Language, Settings, Vendor, load_settings

pytestmark = pytest.mark.unit

HELLO = "Hello, I'm Sonora. What shall we talk about?"
JOE = find_model("piper-en_US-joe-medium")


@pytest.fixture
def hub() -> Generator[ModelHub]:
    folder = english_voice().parent
    files = {
        address_of(JOE, file, "http://h").removeprefix("http://h"): (
            folder / file.name
        ).read_bytes()
        for file in JOE.files
    }
    with model_hub(files) as hub:
        yield hub


@pytest.fixture
def settings(hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "ENV": "local",
        "SONORA_TTS": "piper",
        "SONORA_LANGUAGE": "en",
        "SONORA_DATA_DIR": str(tmp_path / "data"),
        "SONORA_MODELS_URL": hub.url,
    }.items():
        monkeypatch.setenv(name, value)
    return load_settings()


async def test_espeak_speaks_until_the_voice_is_fetched(settings: Settings, hub: ModelHub) -> None:
    speaking = Speaking()
    hub.go_on.clear()
    thread = speaking.prepare(settings)
    assert thread is not None
    assert speaking.prepare(settings) is None, "it would be fetched twice"
    service = LocalTTSService(Language.EN, speaking)
    async with rigged(service) as rig:
        await rig.send(TTSSpeakFrame(HELLO))
        await rig.get(TTSStoppedFrame)
        assert not service.is_real
        by_espeak = b"".join(frame.audio for frame in rig.all(TTSAudioRawFrame))

        hub.go_on.set()
        thread.join(30)
        assert speaking.of(Language.EN).state is State.READY
        assert is_here(JOE, settings.models_path)
        await rig.send(TTSSpeakFrame(HELLO))
        await rig.get(TTSStoppedFrame, 2)
        assert service.is_real
        both = b"".join(frame.audio for frame in rig.all(TTSAudioRawFrame))
        words = [frame.text for frame in rig.all(TTSTextFrame)]
    assert " ".join(words) == f"{HELLO} {HELLO}"
    for audio in (by_espeak, both[len(by_espeak) :]):
        assert len(audio) > service.sample_rate * 2
        assert np.abs(np.frombuffer(audio, np.int16)).max() > 2000
    assert examine_speaking(settings) == ("ok", f"on this machine, by {JOE.name}", "")
    assert settings.local_parts() == {Vendor.TTS}

    # The other language's voice is not here, and is not fetched for one call.
    asked = len(hub.asked)
    speaking.want(Language.ES)
    assert speaking.of(Language.ES).state is State.UNUSED
    assert len(hub.asked) == asked


async def test_a_voice_that_cannot_be_fetched_leaves_espeak(
    settings: Settings, hub: ModelHub
) -> None:
    hub.refuses = 404
    speaking = Speaking()
    thread = speaking.prepare(settings)
    assert thread is not None
    thread.join(30)
    voice = speaking.of(Language.EN)
    assert voice.state is State.FAILED
    assert voice.problem is not None
    assert "404" in voice.problem.message
    assert not LocalTTSService(Language.EN, speaking).is_real
    finding = examine_speaking(settings)
    assert finding is not None
    assert finding[0] == "note"


async def test_a_voice_that_is_named_speaks_both_languages_or_neither(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, state in ((str(english_voice()), State.READY), ("nobody", State.FAILED)):
        monkeypatch.setenv("SONORA_PIPER_VOICE", name)
        speaking = Speaking()
        thread = speaking.prepare(load_settings())
        assert thread is not None
        thread.join(30)
        for language in Language:
            assert speaking.of(language).state is state
            assert LocalTTSService(language, speaking).is_real is (state is State.READY)
        assert speaking.of(Language.ES) is speaking.of(Language.EN)


async def test_words_come_in_order_and_make_up_the_text() -> None:
    voice = PiperVoice(english_voice())
    text = "It costs 1,234.56 dollars — really! [[not phonemes]] … Yes."
    words: list[tuple[str, float]] = []
    secs = 0.0
    async for piece in voice.speak(text):
        words += piece.words
        secs += len(piece.audio) / 2 / voice.sample_rate
    assert " ".join(word for word, _ in words) == text
    begins = [begin for _, begin in words]
    assert begins == sorted(begins)
    assert begins[-1] < secs
    lasts = dict(
        zip((word for word, _ in words), (b - a for a, b in pairwise(begins)), strict=False)
    )
    assert lasts["1,234.56"] > 3 * lasts["costs"], "a number is as long as what it is read as"
