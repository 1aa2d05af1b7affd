"""A line that is made ahead is spoken at once, as Cartesia would have spoken it."""

from collections.abc import AsyncGenerator
from http import HTTPStatus

import pytest
import pytest_asyncio
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from simulators.clients.waiting import Waiting
from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.rig import Rig, rigged
from sonora_app.settings import Language, Settings
from sonora_app.vendors.build import build_tts
from sonora_app.vendors.cartesia import kept_speech

pytestmark = pytest.mark.unit

LINE = "Hola, soy Sonora. ¿De qué te gustaría hablar?"


@pytest_asyncio.fixture
async def cartesia(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[CartesiaVendor]:
    monkeypatch.setattr(kept_speech, "_kept", kept_speech._kept.__class__())  # pyright: ignore[reportPrivateUsage]
    vendor = CartesiaVendor("key")
    vendor.char_secs = 0.01
    async with vendor.serving():
        yield vendor


def settings(cartesia: CartesiaVendor, **more: str) -> Settings:
    return Settings.model_validate(
        {"ENV": "local", "CARTESIA_API_KEY": "key", "CARTESIA_BASE_URL": cartesia.url, **more}
    )


async def heard(rig: Rig, line: str = LINE) -> tuple[str, bytes]:
    """The words and the sound of what was spoken, once it is over."""
    await rig.send(TTSSpeakFrame(line))
    await rig.get(TTSStoppedFrame, len(rig.all(TTSStoppedFrame)) + 1)
    words = " ".join(frame.text for frame in rig.all(TTSTextFrame))
    return words, b"".join(frame.audio for frame in rig.all(TTSAudioRawFrame))


async def test_a_line_is_made_once_and_spoken_in_every_call(cartesia: CartesiaVendor) -> None:
    chosen = settings(cartesia)
    async with rigged(build_tts(chosen, Language.ES)) as rig:
        ordinary = await heard(rig)
    asked = len(cartesia.messages)
    async with rigged(build_tts(chosen, Language.ES, ahead=[LINE])) as rig:
        await cartesia.log.wait_for("spoken", 2)
        await cartesia.log.wait_for("gone", 2)
        assert await heard(rig) == ordinary
    async with rigged(build_tts(chosen, Language.ES, ahead=[LINE])) as rig:
        assert await heard(rig) == ordinary
        assert not rig.all(ErrorFrame)
    assert ordinary[0] == LINE
    assert [message["transcript"] for message in cartesia.messages[asked:]] == [LINE]


async def test_another_voice_or_language_speaks_it_itself(cartesia: CartesiaVendor) -> None:
    async with rigged(build_tts(settings(cartesia), Language.ES, ahead=[LINE])):
        await cartesia.log.wait_for("spoken")
        await cartesia.log.wait_for("gone")
    for other, language in (
        (settings(cartesia, CARTESIA_VOICE_ID="other"), Language.ES),
        (settings(cartesia), Language.EN),
    ):
        asked = len(cartesia.texts)
        async with rigged(build_tts(other, language)) as rig:
            await heard(rig)
        assert len(cartesia.texts) == asked + 1


async def test_a_line_that_cannot_be_made_ahead_is_spoken_when_it_is_due(
    cartesia: CartesiaVendor,
) -> None:
    cartesia.refuse_with = HTTPStatus.TOO_MANY_REQUESTS
    await kept_speech.keep(
        '{"transcript": "Hola.", "context_id": "a", "continue": false}',
        url=f"{cartesia.url}/tts/websocket",
        headers={},
    )
    cartesia.refuse_with = None
    async with rigged(build_tts(settings(cartesia), Language.ES)) as rig:
        words, sound = await heard(rig)
    assert words == LINE
    assert sound


async def test_a_kept_line_that_is_cut_off_bothers_nobody(cartesia: CartesiaVendor) -> None:
    async with rigged(build_tts(settings(cartesia), Language.ES, ahead=[LINE])) as rig:
        await cartesia.log.wait_for("gone")
        asked = len(cartesia.log.of("message"))
        await rig.send(TTSSpeakFrame(LINE))
        await rig.get(TTSAudioRawFrame)
        await rig.send(InterruptionFrame())
        await rig.get(InterruptionFrame)
        assert len(cartesia.log.of("message")) == asked
        rig_words = len(rig.all(TTSTextFrame))
        await rig.send(TTSSpeakFrame("Dime."))
        await rig.get(TTSStoppedFrame)
        assert [frame.text for frame in rig.all(TTSTextFrame)][rig_words:][-1] == "Dime."
        assert not rig.all(ErrorFrame)


BEGINNING = "Hola de nuevo."
GREETING = f"{BEGINNING} Ayer hablamos de Oaxaca."


async def test_a_line_that_begins_with_a_kept_one_begins_at_once(
    cartesia: CartesiaVendor,
) -> None:
    chosen = settings(cartesia)
    async with rigged(build_tts(chosen, Language.ES, ahead=[BEGINNING])) as rig:
        await cartesia.log.wait_for("gone")
        kept_secs = len(BEGINNING) * cartesia.char_secs
        cartesia.first_byte_secs = 1.0
        waiting = Waiting()
        await rig.send(TTSSpeakFrame(GREETING))
        await rig.get(TTSAudioRawFrame)
        assert waiting.secs() < cartesia.first_byte_secs
        await rig.get(TTSStoppedFrame)
    words = rig.all(TTSTextFrame)
    assert [frame.text for frame in words] == GREETING.split()
    times = [frame.pts or 0 for frame in words]
    assert times == sorted(times)
    # "Ayer" is timed from where its own part begins.
    assert (times[3] - times[0]) / 1e9 >= 0.9 * kept_secs
    assert cartesia.texts[-1] == GREETING.removeprefix(f"{BEGINNING} ")
    assert not rig.all(ErrorFrame)


async def test_an_answer_of_the_model_may_hold_a_kept_line(cartesia: CartesiaVendor) -> None:
    async with rigged(build_tts(settings(cartesia), Language.ES, ahead=[BEGINNING])) as rig:
        await cartesia.log.wait_for("gone")
        answer = f"{BEGINNING} Claro que sí. {BEGINNING} Dime."
        await rig.send(LLMFullResponseStartFrame())
        for word in answer.split():
            await rig.send(LLMTextFrame(f"{word} "))
        await rig.send(LLMFullResponseEndFrame())
        await rig.get(TTSStoppedFrame)
        assert [frame.text for frame in rig.all(TTSTextFrame)] == answer.split()
        assert not rig.all(ErrorFrame)
