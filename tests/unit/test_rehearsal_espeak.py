"""espeak-ng in this process: its words, its thread, its loading."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.clients.waiting import Waiting
from sonora_app.errors import ErrorCode, SettingsError
from sonora_app.rehearsal import espeak_library
from sonora_app.rehearsal.espeak import Engine, load_engine
from sonora_app.rehearsal.word_slicer import WordSlicer
from sonora_app.rehearsal.written_out import written_out

pytestmark = pytest.mark.unit

RATE = 22_050
LONG = "Había una vez, en un pueblo muy lejano, una mujer que contaba historias sin parar. " * 40


async def made(engine: Engine, text: str, voice: str = "es-419") -> tuple[bytes, list]:
    audio, spoken = bytearray(), []
    async for piece in engine.speak(text, voice):
        audio += piece.audio
        spoken += piece.words
    return bytes(audio), spoken


def spoken_words(text: str, voice: str) -> tuple[bytes, list[tuple[str, float]]]:
    return asyncio.run(made(load_engine(), text, voice))


ALPHABET = "abcdeñáéíóúü ABC 0123456789 .,;:!?¿¡…—-−«»“”\"'()%€$/@\n😀ß中\0"


@given(
    text=st.text(alphabet=ALPHABET, max_size=80) | st.text(max_size=30),
    voice=st.sampled_from(["es-419", "en-us"]),
)
@settings(max_examples=150, deadline=None)
def test_the_words_of_any_text_are_the_text(text: str, voice: str) -> None:
    audio, spoken = spoken_words(text, voice)
    assert " ".join(word for word, _ in spoken).split() == text.replace("\0", " ").split()
    times = [secs for _, secs in spoken]
    assert times == sorted(times)
    assert all(0 <= secs <= len(audio) / 2 / RATE for secs in times)


@pytest.mark.parametrize("sign", ["-", "−"])
def test_a_number_below_zero_is_said_with_its_sign_in_spanish(sign: str) -> None:
    audio, words = spoken_words(f"Hoy estamos a {sign}5 grados.", "es-419")
    written_out, _ = spoken_words("Hoy estamos a menos 5 grados.", "es-419")
    # The engine makes the same text a little differently each time.
    assert len(audio) == pytest.approx(len(written_out), rel=0.05)
    assert [word for word, _ in words] == ["Hoy", "estamos", "a", f"{sign}5", "grados."]


@pytest.mark.parametrize("text", ["De 10-12 personas.", "El 2026-11-29.", "- 5 grados"])
def test_a_hyphen_that_is_no_sign_is_read_as_it_is(text: str) -> None:
    assert written_out(text, "es-419") == text
    assert written_out("-5 degrees", "en-us") == "-5 degrees"


def test_a_word_runs_to_the_next_that_is_spoken() -> None:
    slicer = WordSlicer("— Son 3,5 € — o no … ")
    begun = [slicer.begin(p, s) for p, s in [(2, 0.1), (6, 0.4), (7, 0.5), (10, 0.9), (14, 1.2)]]
    assert begun == [[], [("— Son", 0.1)], [], [("3,5", 0.4)], [("€ —", 0.9)]]
    assert slicer.begin(15, 1.3) == []
    assert slicer.end() == [("o no …", 1.2)]


# --- Its thread


async def test_speech_that_is_not_wanted_any_more_is_not_made() -> None:
    engine = load_engine()
    pieces = engine.speak(LONG * 20, "es-419")
    await anext(pieces)
    await pieces.aclose()
    closed = Waiting()
    await made(engine, "Sí.")
    # Making all of it would take several seconds.
    assert closed.secs() < 0.5


async def test_two_voices_at_once_do_not_mix() -> None:
    engine = load_engine()
    turns = [("Hola, ¿qué tal estás hoy?", "es-419"), ("Hello, how are you today?", "en-us")]
    alone = [await made(engine, text, voice) for text, voice in turns]
    together = await asyncio.gather(*[made(engine, text, voice) for text, voice in turns * 5])
    for (audio, words), (reference, expected) in zip(together, alone * 5, strict=True):
        assert [word for word, _ in words] == [word for word, _ in expected]
        assert len(audio) == pytest.approx(len(reference), rel=0.02)


async def test_the_engine_is_loaded_once_whoever_asks() -> None:
    engines = await asyncio.gather(*[asyncio.to_thread(load_engine) for _ in range(8)])
    assert all(engine is load_engine() for engine in engines)


# --- Loading


def test_a_missing_package_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SettingsError, match="uv sync --extra rehearsal") as caught:
        espeak_library.load_library(lambda *_: 0)
    assert caught.value.code is ErrorCode.MISCONFIGURED


def test_data_that_is_out_of_reach_is_brought_near(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100) / "espeak-ng-data"
    folder.mkdir(parents=True)
    (folder / "phontab").write_text("here")
    near = espeak_library._within_reach(folder)
    assert len(str(near)) < 140
    assert (near / "phontab").read_text() == "here"
    assert espeak_library._within_reach(Path("/data")) == Path("/data")


def test_the_package_alone_loads_nothing() -> None:
    code = (
        "import sys, sonora_app.rehearsal;"
        "print([m for m in sys.modules if m.split('.')[0] in ('pipecat', 'espeakng_loader')])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "[]"
