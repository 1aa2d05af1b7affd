"""What is said or heard while the bot speaks: whether it begins a turn, and what comes of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    TTSTextFrame,
    UserBackchannelFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from simulators.vendors.rig import Rig, rigged
from sonora_app.settings import Language
from sonora_app.turns import start
from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.detectors import build_silero, build_smart_turn
from sonora_app.turns.expectations.grammar import Expectations
from sonora_app.turns.replies.grammar import Replies
from sonora_app.turns.start import OverBotTurnStart
from sonora_app.turns.stop import ForeseeingTurnStop
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from sonora_app.vendors.frames import UserHushedFrame, UserSpokeBrieflyFrame

pytestmark = pytest.mark.unit

STORY = "Oaxaca tiene montañas, playas, mercados llenos de colores y una cocina famosa."
QUESTION = "¿Te gustaría que te contara algo más de la cocina de Oaxaca esta tarde?"


@dataclass
class Call:
    """A bot that speaks, and a user."""

    rig: Rig
    speech: BotSpeech
    context: LLMContext

    async def voice(self) -> None:
        await self.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))

    async def silence(self) -> None:
        await self.rig.send(VADUserStoppedSpeakingFrame(stop_secs=0.16))

    async def interim(self, text: str) -> None:
        await self.rig.send(InterimTranscriptionFrame(text, "", "2026-01-01T00:00:00Z"))

    async def final(self, text: str) -> None:
        await self.rig.send(
            TranscriptionFrame(text, "", "2026-01-01T00:00:00Z", finalized=True),
            AllTranscribedFrame(),
        )

    async def final_unasked(self, text: str) -> None:
        """Words that the recogniser tells by itself, of which it does not say that they are all."""
        await self.rig.send(TranscriptionFrame(text, "", "2026-01-01T00:00:00Z"))

    async def answered_to(self) -> str:
        """What the model is asked to answer next: the user's last words."""
        asked = (await self.rig.get(LLMContextFrame)).context.get_messages()[-1]
        return str(asked.get("content")) if isinstance(asked, dict) else ""

    async def comes_to(self, *, held: bool) -> None:
        async with asyncio.timeout(30):
            while self.speech.held is not held:
                await asyncio.sleep(0.005)

    @property
    def cut_off(self) -> bool:
        return bool(self.rig.all(InterruptionFrame))


@asynccontextmanager
async def speaking(
    says: str = STORY,
    *,
    tells_interims: bool = True,
    answers_early: bool = False,
    nothing_heard_secs: float = 5.0,
) -> AsyncGenerator[Call]:
    speech, context = BotSpeech(), LLMContext()
    over = SpeechTimeoutUserTurnStopStrategy()
    if answers_early:
        expectations = Expectations(Language.ES, speech.asked)
        over = ForeseeingTurnStop(build_smart_turn(stop_secs=1.4), build_silero(), expectations)
    begins = OverBotTurnStart(speech, Replies(Language.ES), tells_interims=tells_interims)
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=UserTurnStrategies(start=[begins], stop=[over]),
            user_turn_stop_timeout=nothing_heard_secs,
        ),
    )
    said, bot = TTSSpeakFrame(says), FrameProcessor()
    await speech.on_push_frame(FramePushed(bot, bot, said, FrameDirection.DOWNSTREAM, 0))
    async with rigged(pair.user()) as rig:
        await rig.send(BotStartedSpeakingFrame())
        yield Call(rig, speech, context)


async def test_a_voice_without_words_holds_the_bot_back_until_that_is_known() -> None:
    async with speaking() as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.silence()
        await call.rig.send(AllTranscribedFrame())
        await call.comes_to(held=False)
        assert not call.cut_off


async def test_a_sound_of_which_the_recogniser_says_nothing_holds_it_back_no_longer_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "WORDLESS_SECS", 0.1)
    monkeypatch.setattr(start, "UNHEARD_SECS", 0.1)
    async with speaking() as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.comes_to(held=False)
        await call.silence()
        await call.voice()
        await call.comes_to(held=True)
        await call.silence()
        await call.comes_to(held=False)
        assert not call.cut_off


async def test_an_acknowledgement_is_told_and_is_no_part_of_the_talk() -> None:
    async with speaking() as call:
        await call.voice()
        await call.interim("Ajá")
        await call.final("Ajá.")
        await call.rig.through()
        assert call.speech.held
        await call.silence()
        told = await call.rig.get(UserBackchannelFrame)
        assert told.text == "Ajá."
        await call.comes_to(held=False)
        assert not call.cut_off
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.voice()
        await call.final("¿Y las playas?")
        await call.silence()
        async with asyncio.timeout(30):
            while not call.context.messages:
                await asyncio.sleep(0.01)
        said = [each.get("content") for each in call.context.messages if isinstance(each, dict)]
        assert said == ["¿Y las playas?"]


async def test_what_may_become_an_acknowledgement_holds_the_bot_back() -> None:
    async with speaking() as call:
        for begins, said in (("Por", "Por supuesto."), ("Sí, muy", "Sí, muy bien.")):
            await call.interim(begins)
            await call.comes_to(held=True)
            await call.final(said)
            await call.comes_to(held=False)
        assert len(call.rig.all(UserBackchannelFrame)) == 2
        await call.interim("De")
        await call.comes_to(held=True)
        assert not call.cut_off
        await call.interim("De hecho")
        await call.rig.get(InterruptionFrame)


async def test_an_acknowledgement_that_comes_late_is_told_as_well() -> None:
    async with speaking() as call:
        await call.final("Claro.")
        assert (await call.rig.get(UserBackchannelFrame)).text == "Claro."
        assert not call.cut_off


@pytest.mark.parametrize("said", ["Espera", "No, no", "Sí, pero"])
async def test_words_that_take_the_turn_cut_the_bot_off_while_they_are_spoken(said: str) -> None:
    async with speaking() as call:
        await call.voice()
        await call.interim("Sí")
        await call.comes_to(held=True)
        assert not call.cut_off
        await call.interim(said)
        await call.rig.get(InterruptionFrame)
        assert call.speech.held
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.comes_to(held=False)


@pytest.mark.parametrize("said", ["No.", ""])
async def test_a_voice_too_short_for_silero_holds_the_bot_back_until_its_words_are_known(
    said: str,
) -> None:
    async with speaking() as call:
        await call.rig.send(UserHushedFrame(quiet_secs=0.06), UserSpokeBrieflyFrame())
        await call.comes_to(held=True)
        assert not call.cut_off
        if said:
            await call.final(said)
            await call.rig.get(InterruptionFrame)
            return
        await call.rig.send(AllTranscribedFrame())
        await call.comes_to(held=False)
        assert not call.cut_off


async def test_a_voice_whose_words_are_known_when_it_is_noticed_holds_nothing_back() -> None:
    async with speaking() as call:
        await call.rig.send(UserHushedFrame(quiet_secs=0.02))
        await call.final("Ajá.")
        await call.rig.get(UserBackchannelFrame)
        await call.rig.send(UserSpokeBrieflyFrame(quiet_secs=0.06))
        await call.rig.get(UserSpokeBrieflyFrame)
        assert not call.speech.held


async def test_yes_is_an_answer_where_the_bot_asks() -> None:
    async with speaking(QUESTION) as call:
        await call.voice()
        await call.interim("Sí")
        await call.rig.get(InterruptionFrame)
        assert not call.rig.all(UserBackchannelFrame)


async def test_what_is_said_into_the_bots_last_sound_begins_a_turn() -> None:
    async with speaking() as call:
        await call.voice()
        await call.interim("Claro")
        await call.comes_to(held=True)
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.rig.get(InterruptionFrame)
        await call.comes_to(held=False)


async def test_a_voice_that_lasts_begins_a_turn_where_no_words_can_be_told_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "WORDLESS_SECS", 0.05)
    async with speaking(tells_interims=False) as call:
        await call.voice()
        await call.rig.get(InterruptionFrame)
        # Nobody tells that the bot has stopped: it goes on all the same.
        await call.comes_to(held=False)


async def test_a_voice_begins_a_turn_at_once_where_the_bot_is_silent() -> None:
    async with speaking() as call:
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.voice()
        await call.rig.get(InterruptionFrame)
        assert not call.speech.held


async def test_a_cough_costs_no_answer_that_is_awaited_and_words_begin_a_turn() -> None:
    async with speaking() as call:
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.voice()
        await call.final("¿Y las playas?")
        await call.silence()
        await call.rig.get(UserStoppedSpeakingFrame)
        turns = len(call.rig.all(InterruptionFrame))
        await call.voice()
        await call.comes_to(held=True)
        await call.silence()
        await call.rig.send(AllTranscribedFrame())
        await call.comes_to(held=False)
        assert len(call.rig.all(InterruptionFrame)) == turns
        await call.voice()
        await call.comes_to(held=True)
        # Pipecat tells so, though nothing of it is heard.
        await call.rig.send(BotStartedSpeakingFrame())
        await call.rig.get(BotStartedSpeakingFrame, 2)
        await call.final("Sí.")
        await call.silence()
        await call.rig.get(InterruptionFrame, turns + 1)
        await call.comes_to(held=False)
        assert not call.rig.all(UserBackchannelFrame)


async def test_what_is_typed_drops_what_is_held_back() -> None:
    async with speaking() as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.rig.send(InterruptionFrame())
        await call.comes_to(held=False)


async def test_an_acknowledgement_before_something_is_typed_is_told() -> None:
    async with speaking() as call:
        await call.final_unasked("Claro.")
        await call.rig.through()  # what follows would overtake it
        await call.rig.send(InterruptionFrame())
        assert (await call.rig.get(UserBackchannelFrame)).text == "Claro."


async def test_an_acknowledgement_is_no_part_of_what_is_answered_next() -> None:
    async with speaking(answers_early=True) as call:
        await call.interim("Por")
        await call.comes_to(held=True)
        await call.final("Por supuesto.")
        await call.comes_to(held=False)
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.voice()
        await call.final("¿Y las playas?")
        await call.silence()
        assert await call.answered_to() == "¿Y las playas?"


@pytest.mark.parametrize("noticed", [True, False])
async def test_an_acknowledgement_that_comes_by_itself_is_told_and_is_no_part_of_the_next_turn(
    noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "UNHEARD_SECS", 0.1)
    async with speaking(answers_early=True) as call:
        await call.final_unasked("Claro.")
        await call.rig.through()  # what follows would overtake it
        if noticed:
            await call.rig.send(UserHushedFrame(quiet_secs=0.06), UserSpokeBrieflyFrame())
            await call.comes_to(held=True)
            await call.rig.send(AllTranscribedFrame())
            await call.comes_to(held=False)
        assert (await call.rig.get(UserBackchannelFrame)).text == "Claro."
        assert not call.cut_off
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.voice()
        await call.final("¿Y las playas?")
        await call.silence()
        assert await call.answered_to() == "¿Y las playas?"
        assert len(call.rig.all(UserBackchannelFrame)) == 1


async def test_what_goes_on_after_an_acknowledgement_has_it_in_its_turn() -> None:
    async with speaking(answers_early=True) as call:
        await call.final_unasked("Claro,")
        await call.voice()
        await call.interim("pero")
        await call.rig.get(InterruptionFrame)
        await call.final("pero prefiero la playa.")
        await call.silence()
        assert await call.answered_to() == "Claro, pero prefiero la playa."
        assert not call.rig.all(UserBackchannelFrame)


async def test_a_sound_that_is_over_when_the_bot_ends_is_no_turn_until_words_come() -> None:
    async with speaking(answers_early=True) as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.silence()
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.comes_to(held=False)
        await call.rig.get(BotStoppedSpeakingFrame)
        assert not call.cut_off
        await call.final("¿Y las playas?")
        assert await call.answered_to() == "¿Y las playas?"


async def test_a_sound_into_which_the_bot_ends_has_cut_off_nothing() -> None:
    async with speaking(nothing_heard_secs=0.2) as call:
        await call.voice()
        await call.comes_to(held=True)
        await call.rig.send(BotStoppedSpeakingFrame())
        await call.rig.get(InterruptionFrame)
        await call.silence()
        await call.rig.get(UserStoppedSpeakingFrame)
        await asyncio.sleep(0.05)
        # Pipecat would tell the model that the answer was cut off, and have it ask what was said.
        assert not call.context.messages


async def _yes_and_the_answer_is_awaited(call: Call, said: str = "Sí.") -> int:
    """The user has answered, and is not answered yet; gives how often that cut the bot off."""
    await call.rig.send(BotStoppedSpeakingFrame())
    await call.voice()
    await call.final(said)
    await call.silence()
    await call.rig.get(UserStoppedSpeakingFrame)
    return len(call.rig.all(InterruptionFrame))


async def _is_answered(call: Call, says: str) -> None:
    """The bot begins to answer, and is heard to its last word."""
    bot, words = FrameProcessor(), TTSTextFrame(says, "word")
    call.speech.clock.start()
    words.pts = 1  # long over
    for frame in (TTSSpeakFrame(says), BotStartedSpeakingFrame(), words):
        await call.speech.on_push_frame(FramePushed(bot, bot, frame, FrameDirection.DOWNSTREAM, 0))
    await call.rig.send(BotStartedSpeakingFrame())
    await call.rig.get(BotStartedSpeakingFrame, 2)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_please_after_yes_costs_no_answer_that_is_awaited_or_has_begun(begun: bool) -> None:
    async with speaking(QUESTION, answers_early=True) as call:
        turns = await _yes_and_the_answer_is_awaited(call)
        if begun:
            await _is_answered(call, "Perfecto, queda reservada a tu nombre.")
        await call.voice()
        await call.interim("por")
        await call.comes_to(held=True)
        await call.final("por favor.")
        await call.silence()
        assert (await call.rig.get(UserBackchannelFrame)).text == "por favor."
        await call.comes_to(held=False)
        assert len(call.rig.all(InterruptionFrame)) == turns


async def test_a_please_whose_end_comes_late_costs_none_either() -> None:
    async with speaking(QUESTION, answers_early=True) as call:
        turns = await _yes_and_the_answer_is_awaited(call)
        await call.voice()
        await call.interim("por")
        await call.silence()
        await call.rig.send(AllTranscribedFrame())
        await call.comes_to(held=False)
        await call.final("por favor.")
        assert (await call.rig.get(UserBackchannelFrame)).text == "por favor."
        assert len(call.rig.all(InterruptionFrame)) == turns


@pytest.mark.parametrize(
    ("first", "answer", "second"),
    [
        ("Sí.", "Perfecto, queda reservada a tu nombre.", "Por la tarde."),
        ("Quiero la mesa.", "Perfecto, queda reservada a tu nombre.", "Gracias."),
        ("Sí.", "¿Quieres que te mande también la carta?", "Por favor."),
    ],
)
async def test_other_words_and_what_answers_the_next_question_are_a_turn(
    first: str, answer: str, second: str
) -> None:
    async with speaking(QUESTION, answers_early=True) as call:
        turns = await _yes_and_the_answer_is_awaited(call, first)
        await _is_answered(call, answer)
        await call.voice()
        await call.final(second)
        await call.silence()
        await call.rig.get(InterruptionFrame, turns + 1)
        assert not call.rig.all(UserBackchannelFrame)
