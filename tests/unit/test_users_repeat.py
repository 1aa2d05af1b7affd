"""Users who answer in the bot's own words are heard, also where the bot's voice comes back."""

import asyncio

import pytest
from pipecat.frames.frames import BotStoppedSpeakingFrame, InterruptionFrame

from sonora_app.turns import start
from sonora_app.vendors.frames import UserSpokeBrieflyFrame
from tests.unit.test_over_bot import Call, speaking
from tests.unit.test_own_voice import comes_back

pytestmark = pytest.mark.unit

ANSWERS = [
    ("¿El lunes o el martes?", "El martes."),
    ("¿Quieres reservar una mesa para el martes?", "Quiero reservar una mesa."),
    ("¿Te gustaría ir a Oaxaca?", "Me gustaría."),
    ("¿Fuiste a Puebla o a Oaxaca?", "Sí, Oaxaca."),
    ("¿Fuiste a Oaxaca?", "¿Dijiste Oaxaca?"),
    ("¿Es el cinco cinco uno dos tres?", "Cinco cinco uno dos tres."),
]


async def stops(call: Call) -> None:
    await call.rig.send(BotStoppedSpeakingFrame())
    await call.rig.get(BotStoppedSpeakingFrame)


@pytest.mark.parametrize(("asked", "said"), ANSWERS)
async def test_an_answer_over_the_end_of_a_question_by_a_voice_that_sounds_otherwise(
    asked: str, said: str
) -> None:
    async with speaking(asked, answers_early=True) as call:
        call.speech.own_voice.found = True
        await call.voice()
        await call.interim(said.split()[0])
        await call.rig.through()
        await stops(call)
        await call.rig.get(InterruptionFrame)
        await call.final(said)
        await call.silence()
        assert await call.answered_to() == said


@pytest.mark.parametrize(("asked", "said"), ANSWERS[:-1])
async def test_an_answer_before_the_end_of_a_question_by_a_voice_that_sounds_otherwise(
    asked: str, said: str
) -> None:
    async with speaking(asked) as call:
        call.speech.own_voice.found = True
        await call.voice()
        await call.final(said)
        await call.silence()
        await call.rig.get(InterruptionFrame)


@pytest.mark.parametrize("by_sound", [True, False])
@pytest.mark.parametrize(("asked", "said"), ANSWERS)
async def test_an_answer_too_short_for_silero_just_after_the_bot(
    asked: str, said: str, by_sound: bool
) -> None:
    async with speaking(asked, answers_early=True) as call:
        call.speech.own_voice.found = by_sound
        call.speech.has_heard_itself("como lo que dijo antes")
        await stops(call)
        await asyncio.sleep(start.TRAILING_SECS)
        await call.interim(said.split()[0])
        await call.rig.send(UserSpokeBrieflyFrame(quiet_secs=0.06))
        await call.rig.through()
        await call.final(said)
        assert await call.answered_to() == said


async def test_a_word_that_is_taken_up_does_not_tell_that_the_bots_voice_comes_back() -> None:
    async with speaking(answers_early=True) as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.final("Cocina.")
        await call.silence()
        await call.comes_to(held=False)
        assert not call.cut_off
        await call.interim("Cochina famosas")
        await call.rig.get(InterruptionFrame)


async def test_a_word_that_is_taken_up_makes_nobody_deaf_after_the_bot() -> None:
    async with speaking(answers_early=True) as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.final("Cocina.")
        await call.silence()
        await call.comes_to(held=False)
        assert not call.cut_off
        await stops(call)
        await asyncio.sleep(start.TRAILING_SECS)
        await call.final("Una cocina famosa.")
        assert await call.answered_to() == "Una cocina famosa."


async def test_an_answer_that_begins_as_the_question_ends_is_a_turn() -> None:
    async with speaking("¿El lunes por la tarde o el martes?", answers_early=True) as call:
        await call.voice()
        await call.interim("El lunes")
        await call.rig.through()
        await stops(call)
        await call.rig.get(InterruptionFrame)
        await call.final("El lunes por la tarde.")
        await call.silence()
        assert await call.answered_to() == "El lunes por la tarde."


@pytest.mark.parametrize("said", ["No, mercados llenos", "Sí, mercados llenos", "Mercados no"])
async def test_a_reply_with_words_like_the_bots_is_no_echo(said: str) -> None:
    async with speaking() as call:
        await comes_back(call)
        await call.interim(said)
        await call.rig.get(InterruptionFrame)


async def test_a_question_is_answered_in_words_like_its_own_where_only_words_tell() -> None:
    async with speaking("¿Quieres reservar una mesa para el martes?") as call:
        call.speech.has_heard_itself("como lo que dijo antes")
        await call.interim("Quiero reservar una")
        await call.rig.get(InterruptionFrame)
