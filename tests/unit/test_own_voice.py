"""The bot's own voice, out of a loudspeaker, takes no turn, and what the user says over it does."""

import asyncio

import pytest
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    InterruptionFrame,
    LLMContextFrame,
    UserBackchannelFrame,
    UserStartedSpeakingFrame,
)

from sonora_app.turns import start
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from tests.unit.test_over_bot import STORY, Call, speaking

pytestmark = pytest.mark.unit


async def test_words_like_the_bots_hold_it_back_before_a_voice_is_noticed() -> None:
    async with speaking() as call:
        # What was said before was transcribed to its end.
        await call.rig.send(AllTranscribedFrame())
        await call.interim("Una")
        await call.comes_to(held=True)
        await call.voice()
        await call.interim("Una cocina")
        await call.rig.through()
        assert call.speech.held
        assert not call.rig.all(UserBackchannelFrame)
        await call.interim("Una cocina no")
        await call.rig.get(InterruptionFrame)


async def test_the_bots_own_voice_is_not_taken_for_the_users() -> None:
    async with speaking() as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.interim("Montañas")
        await call.interim("Montañas, playas")
        await call.final("Montañas, playas, mercados.")
        await call.silence()
        await call.comes_to(held=False)
        await call.voice()
        await call.interim("Llenos")
        await call.final("Llenos de colores.")
        await call.silence()
        await call.rig.through()
        assert not call.speech.held
        assert not call.cut_off
        assert not call.rig.all(UserBackchannelFrame)
        await call.voice()
        await call.interim("Llenos de colores espera")
        await call.rig.get(InterruptionFrame)


async def test_a_word_or_two_of_its_own_are_all_there_is_where_a_voice_holds_the_bot_back() -> None:
    async with speaking() as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.silence()
        await call.final("Una cocina.")
        await call.comes_to(held=False)
        await call.voice()
        await call.final("Famosa.")
        await call.silence()
        await call.rig.through()
        assert not call.speech.held
        # What is late of it comes when the bot has stopped; what is said then is the user's.
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.final("Cocina famosa.")
        await call.rig.through()
        assert not call.cut_off
        await call.interim("Gracias")
        await call.rig.get(InterruptionFrame)


async def test_a_word_that_the_bot_has_just_said_too_may_begin_what_the_user_says() -> None:
    async with speaking(answers_early=True) as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.final_unasked("Y")
        await call.rig.through()
        await call.interim("otro")
        await call.rig.get(InterruptionFrame)
        await call.final("otro mercado.")
        await call.silence()
        assert await call.answered_to() == "Y otro mercado."


async def test_a_word_that_stops_the_bot_does_so_though_it_has_just_said_it() -> None:
    async with speaking("La sierra tiene senderos para todos, y guías.") as call:
        await call.voice()
        await call.final("Para.")
        await call.rig.get(InterruptionFrame)


async def test_the_answer_is_to_what_the_user_said_and_not_to_the_bots_own_words() -> None:
    async with speaking(answers_early=True) as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.final("Llenos de colores.")
        await call.silence()
        await call.comes_to(held=False)
        await call.rig.send(BotStoppedSpeakingFrame())
        await asyncio.sleep(start.TRAILING_SECS)
        await call.voice()
        await call.final("¿Y las playas?")
        await call.silence()
        asked = (await call.rig.get(LLMContextFrame)).context.get_messages()
        assert [each["content"] for each in asked] == ["¿Y las playas?"]  # pyright: ignore


async def test_its_own_voice_may_be_long() -> None:
    said = f"{STORY} En abril el centro está lleno de música, y cada barrio tiene su propia fiesta."
    async with speaking(said) as call:
        await call.voice()
        await call.interim(said.removesuffix(" propia fiesta."))
        await call.final(said)
        await call.silence()
        await call.comes_to(held=False)
        assert not call.cut_off


async def comes_back(call: Call) -> None:
    """Have the bot's voice heard as what it has just said."""
    await call.voice()
    await call.comes_to(held=True)
    await call.final("Montañas, playas, mercados.")
    await call.silence()
    await call.comes_to(held=False)


async def test_where_its_voice_comes_back_it_may_be_heard_badly() -> None:
    async with speaking() as call:
        await comes_back(call)
        for heard in ("Lle", "Yenos de colores", "Yenos colores una cochina"):
            await call.interim(heard)
        await call.final("Yenos colores una cochina famosas.")
        await asyncio.sleep(0.05)
        assert not call.speech.held
        assert not call.cut_off
        await call.interim("Cochina famosas")
        await call.interim("Cochina famosas espera")
        await call.rig.get(InterruptionFrame)


async def test_the_first_words_that_are_heard_badly_are_the_users() -> None:
    async with speaking() as call:
        await call.voice()
        await call.interim("Yenos colores una cochina")
        await call.rig.get(InterruptionFrame)


async def test_words_of_its_own_that_are_told_late_are_no_turn() -> None:
    async with speaking() as call:
        await comes_back(call)
        await call.rig.send(BotStoppedSpeakingFrame())
        await asyncio.sleep(start.UNHEARD_SECS + 0.1)
        await call.final("Llenos de colores y una cocina famosa.")
        await asyncio.sleep(0.05)
        assert not call.rig.all(UserStartedSpeakingFrame)
        await call.final("¿Y la comida?")
        await call.rig.get(UserStartedSpeakingFrame)
