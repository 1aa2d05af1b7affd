"""What is said over the bot's speech, recognised by Flux, with Pipecat's service."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    TTSUpdateSettingsFrame,
    UserBackchannelFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from simulators.vendors.deepgram import DeepgramVendor
from simulators.vendors.rig import Rig, rigged
from sonora_app.call.pipeline import build_aggregators
from sonora_app.call.presence.muting import FlowMute
from sonora_app.call.services import build_services
from sonora_app.settings import Language
from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.language_listener import LanguageListener
from tests.unit.test_over_bot import QUESTION, STORY
from tests.unit.test_vendor_build import DEEPGRAM_KEY, settings, sound

pytestmark = pytest.mark.unit


@pytest.fixture
async def deepgram() -> AsyncGenerator[DeepgramVendor]:
    vendor = DeepgramVendor(DEEPGRAM_KEY)
    async with vendor.serving():
        yield vendor


@dataclass
class Call:
    """A bot that speaks, and a user."""

    deepgram: DeepgramVendor
    rig: Rig
    speech: BotSpeech
    changes: list[Language]

    async def begin(self, said: str) -> None:
        """Say the first words of a turn, and go on speaking."""
        self.deepgram.hears.append(said)
        await self.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2), *sound(0.1))

    async def say(self, said: str) -> None:
        """Say a turn to its end."""
        await self.begin(said)
        await self.rig.send(*sound(0.4), *sound(0.6, loud=False))

    def told(self) -> list[str]:
        """What the model was asked with, each time: the user's last words."""
        contexts = [frame.context.get_messages() for frame in self.rig.all(LLMContextFrame)]
        return [str(messages[-1]["content"]) for messages in contexts]  # pyright: ignore


@asynccontextmanager
async def speaking(
    deepgram: DeepgramVendor, says: str = STORY, **chosen: str
) -> AsyncGenerator[Call]:
    chosen = {"DEEPGRAM_BASE_URL": deepgram.url, "SONORA_STT": "flux", **chosen}
    services = await build_services(settings(**chosen), Language.ES)
    mute = FlowMute()
    mute.muted = False
    pair, _ = build_aggregators(services, mute=mute, idle_secs=60)
    said, bot = TTSSpeakFrame(says), FrameProcessor()
    for frame in (said, BotStartedSpeakingFrame()):
        pushed = FramePushed(bot, bot, frame, FrameDirection.DOWNSTREAM, 0)
        await services.speech.on_push_frame(pushed)
    changes: list[Language] = []
    listener = LanguageListener(Language.ES)

    def change(language: Language) -> list[Frame]:
        changes.append(language)
        return []

    listener.change = change
    async with rigged(services.stt, listener, pair.user()) as rig:
        await rig.send(BotStartedSpeakingFrame())
        yield Call(deepgram, rig, services.speech, changes)


@pytest.mark.parametrize("early", ["True", "False"])
@pytest.mark.parametrize("said", ["Ajá.", "Mhm.", "Uh huh, vale.", "Por supuesto."])
async def test_an_acknowledgement_leaves_the_bot_speaking(
    deepgram: DeepgramVendor, said: str, early: str
) -> None:
    async with speaking(deepgram, SONORA_ANSWER_EARLY=early) as call:
        await call.say(said)
        assert (await call.rig.get(UserBackchannelFrame)).text == said
        assert not call.rig.all(InterruptionFrame)
        assert not call.speech.held
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.say("¿Y las playas?")
        await call.rig.get(LLMContextFrame)
        # It is no part of the talk.
        assert set(call.told()) == {"¿Y las playas?"}
        assert len(call.rig.all(UserBackchannelFrame)) == 1


@pytest.mark.parametrize("said", ["Espera.", "Para.", "No, no.", "Oye, mejor la playa."])
async def test_a_word_that_takes_the_turn_cuts_the_bot_off_at_once(
    deepgram: DeepgramVendor, said: str
) -> None:
    async with speaking(deepgram) as call:
        await call.begin(said)
        await call.rig.get(InterruptionFrame)
        assert not deepgram.log.of("final")


async def test_an_acknowledgement_that_goes_on_takes_the_turn(deepgram: DeepgramVendor) -> None:
    async with speaking(deepgram) as call:
        await call.begin("Sí, pero prefiero la playa.")
        await asyncio.sleep(0.1)
        assert not call.rig.all(InterruptionFrame)
        await call.rig.send(*sound(0.5))
        await call.rig.get(InterruptionFrame)
        await call.rig.send(*sound(0.6, loud=False))
        await call.rig.get(LLMContextFrame)
        assert set(call.told()) == {"Sí, pero prefiero la playa."}
        assert not call.rig.all(UserBackchannelFrame)


async def test_an_acknowledgement_is_an_answer_where_the_bot_asks_or_is_silent(
    deepgram: DeepgramVendor,
) -> None:
    async with speaking(deepgram, QUESTION) as call:
        await call.say("Sí.")
        await call.rig.get(InterruptionFrame)
        await call.rig.get(LLMContextFrame)
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.say("Claro.")
        await call.rig.get(InterruptionFrame, 2)
        assert not call.rig.all(UserBackchannelFrame)


@pytest.mark.parametrize("early", ["True", "False"])
async def test_the_users_words_are_told_without_the_bots_own_that_came_ahead_of_them(
    deepgram: DeepgramVendor, early: str
) -> None:
    async with speaking(deepgram, SONORA_ANSWER_EARLY=early) as call:
        await call.begin("Mercados llenos de colores y una espera un momento.")
        await call.rig.send(*sound(1.7))
        await asyncio.sleep(0.1)
        assert not call.rig.all(InterruptionFrame)
        await call.rig.send(*sound(0.6))
        await call.rig.get(InterruptionFrame)
        await call.rig.send(*sound(0.6, loud=False))
        await call.rig.get(LLMContextFrame)
        assert set(call.told()) == {"espera un momento."}


async def test_acknowledgements_change_no_language(deepgram: DeepgramVendor) -> None:
    said = ("Ok, ok.", "Mm, sí.", "Ajá, vale.")
    deepgram.languages = dict.fromkeys(said, "en")
    async with speaking(deepgram) as call:
        for number, text in enumerate(said, 1):
            await call.say(text)
            await call.rig.get(UserBackchannelFrame, number)
        assert not call.changes


async def test_the_language_is_told_ahead_of_the_words_that_change_it(
    deepgram: DeepgramVendor,
) -> None:
    chosen = settings(
        DEEPGRAM_BASE_URL=deepgram.url, SONORA_STT="flux", SONORA_CHANGE_LANGUAGE="True"
    )
    services = await build_services(chosen, Language.ES)
    english, spanish = "Can we speak English?", "Mejor seguimos en español."
    deepgram.languages = {english: "en", spanish: "es"}
    listener = services.language_listener
    assert listener is not None
    listener.change = services.speak_in
    async with rigged(services.stt, listener) as rig:
        for text in (english, spanish):
            deepgram.hears.append(text)
            await rig.send(*sound(0.5), *sound(0.6, loud=False))
            await rig.get(TranscriptionFrame, len(rig.all(TranscriptionFrame)) + 1)
            await rig.send(UserStoppedSpeakingFrame())
        kinds = (TTSUpdateSettingsFrame, TranscriptionFrame)
        told = [frame for frame in rig.all(Frame) if isinstance(frame, kinds)]
    assert [
        frame.text
        if isinstance(frame, TranscriptionFrame)
        else getattr(frame.delta, "language", None)
        for frame in told
    ] == ["en", english, "es", spanish]


@pytest.mark.parametrize("over", [True, False])
async def test_an_answer_in_the_bots_own_words_is_heard_where_its_voice_comes_back(
    deepgram: DeepgramVendor, over: bool
) -> None:
    async with speaking(deepgram, "¿El lunes o el martes?") as call:
        call.speech.own_voice.found = True
        if not over:
            await call.rig.send(BotStoppedSpeakingFrame())
            await call.rig.get(BotStoppedSpeakingFrame)
        await call.say("El martes.")
        await call.rig.get(LLMContextFrame)
        assert set(call.told()) == {"El martes."}
