"""A user who goes on within the bot's first words: the model is told one turn, or two."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pipecat.clocks.base_clock import BaseClock
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseStartFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TextFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
    UserTurnStoppedMessage,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transcriptions.language import Language as Spoken
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_start import ExternalUserTurnStartStrategy
from pipecat.turns.user_stop import BaseUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from simulators.vendors.rig import Rig, rigged
from sonora_app.call import going_on
from sonora_app.call.going_on import GoingOn
from sonora_app.settings import Language
from sonora_app.turns.language_listener import LanguageListener
from sonora_app.turns.replies.grammar import Replies

pytestmark = pytest.mark.unit

FIRST, SECOND = "Quiero un vuelo a Madrid.", "Y otro a Sevilla."


class Clock(BaseClock):
    """A clock that the test sets."""

    secs = 0.0

    def get_time(self) -> int:
        return int(self.secs * 1e9)

    def start(self) -> None: ...


class Guessing(BaseUserTurnStopStrategy):
    """Has each transcript answered before the turn is over, as Sonora does; or only afterwards."""

    guesses = True

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        if isinstance(frame, TranscriptionFrame) and self.guesses:
            guess = UserTurnSpeculation(text=frame.text)
            await self.trigger_user_turn_inference_triggered(speculation=guess)
        elif isinstance(frame, ProposedUserStoppedSpeakingFrame) and self.guesses:
            await self.trigger_user_turn_finalized(confirms_speculation=True)
        elif isinstance(frame, ProposedUserStoppedSpeakingFrame):
            await self.trigger_user_turn_stopped()
        return ProcessFrameResult.CONTINUE


class Asked(FrameProcessor):
    """Where the model would be: notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.requests: list[list[Any]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            self.requests.append(list(frame.context.get_messages()))
        await self.push_frame(frame, direction)


class Talk:
    """One user, one bot, and Pipecat's own aggregators between them."""

    def __init__(self, *, guesses: bool) -> None:
        self.context, self.clock, self.asked = LLMContext(), Clock(), Asked()
        stop = Guessing()
        stop.guesses = guesses
        turns = UserTurnStrategies(start=[ExternalUserTurnStartStrategy()], stop=[stop])
        self.pair = LLMContextAggregatorPair(
            self.context, user_params=LLMUserAggregatorParams(user_turn_strategies=turns)
        )
        self.going_on = GoingOn(self.context, self.clock, lambda: Replies(Language.ES))
        self.continued: list[bool] = []
        self.rig: Rig
        self.listener = LanguageListener(Language.ES)
        self.listener.goes_on = lambda: self.going_on.goes_on
        self.changes: list[Language] = []

        def change(language: Language) -> list[Frame]:
            self.changes.append(language)
            return []

        self.listener.change = change

        async def stopped(_: object, __: object, turn: UserTurnStoppedMessage) -> None:
            self.continued.append(self.going_on.continues(turn.timestamp))

        self.pair.user().add_event_handler("on_user_turn_stopped", stopped)

    async def user(self, text: str, language: Language = Language.ES) -> None:
        """The user cuts in, says something and falls silent."""
        turns, said_in = len(self.continued), Spoken(language.value)
        # The interruption stops the bot.
        await self.rig.send(ProposedUserStartedSpeakingFrame(), BotStoppedSpeakingFrame())
        await _until(lambda: not self.pair.assistant().aggregation_string())
        await self.rig.send(TranscriptionFrame(text, "", "", said_in, finalized=True))
        await _until(lambda: bool(self.pair.user().aggregation_string()))
        await self.rig.send(ProposedUserStoppedSpeakingFrame())
        await _until(lambda: len(self.continued) > turns)

    async def bot(self, text: str, *, secs: float) -> None:
        """The bot has begun to speak, so long ago, and was heard to say so much."""
        await self.rig.send(LLMFullResponseStartFrame(), TextFrame(text), BotStartedSpeakingFrame())
        await _until(lambda: bool(self.pair.assistant().aggregation_string()))
        self.clock.secs += secs

    @property
    def told(self) -> list[tuple[str, str]]:
        return _said(self.context.get_messages())

    @property
    def last_request(self) -> list[tuple[str, str]]:
        return _said(self.asked.requests[-1])


def _said(messages: list[Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def talking(*, guesses: bool = True) -> AsyncGenerator[Talk]:
    talk = Talk(guesses=guesses)
    ends = talk.pair.user(), talk.pair.assistant()
    parts = (talk.listener, ends[0], talk.going_on, talk.asked, ends[1])
    async with rigged(*parts) as talk.rig:
        yield talk


@pytest.mark.parametrize("guesses", [True, False])
async def test_the_model_is_told_one_turn_where_the_bots_first_words_cut_it_in_two(
    guesses: bool,
) -> None:
    async with talking(guesses=guesses) as talk:
        await talk.user(FIRST)
        await talk.bot("Claro, busco", secs=0.8)
        # The words come after the voice, and where the bot hears itself it speaks on until then.
        await talk.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        await talk.rig.get(VADUserStartedSpeakingFrame)
        talk.clock.secs += going_on.HEARD_SECS
        await talk.user(SECOND)
        whole = ("user", f"{FIRST} {SECOND}")
        assert talk.last_request == [whole]
        assert talk.told == [whole]
        # And once more, before the bot has said a word.
        await talk.user("Para dos personas.")
        whole = ("user", f"{FIRST} {SECOND} Para dos personas.")
        assert talk.last_request == [whole]
        assert talk.continued == [False, True, True]
        # What comes after the answer is a turn of its own.
        await talk.bot("Hay un vuelo a las nueve y otro a las diez", secs=4)
        await talk.user("El de las nueve.")
        assert [role for role, _ in talk.last_request] == ["user", "assistant", "user"]
        assert talk.told == talk.last_request
        assert talk.told[0] == whole
        assert talk.continued[-1] is False


@pytest.mark.parametrize("says", ["Espera.", "No, no.", "Sí, claro.", "¿Cómo?"])
async def test_words_for_the_bot_are_a_turn_of_their_own(says: str) -> None:
    async with talking() as talk:
        await talk.user(FIRST)
        await talk.bot("Claro, busco", secs=0.8)
        await talk.user(says)
        told = [("user", FIRST), ("assistant", "Claro, busco"), ("user", says)]
        assert (talk.told, talk.last_request) == (told, told)
        assert talk.continued == [False, False]


async def test_whoever_heard_more_of_the_answer_or_all_of_it_replies_to_it() -> None:
    async with talking() as talk:
        await talk.user(FIRST)
        await talk.bot("Claro, busco un vuelo a Madrid", secs=going_on.HEARD_SECS + 0.1)
        await talk.user(SECOND)
        await talk.bot("Hecho.", secs=0.5)
        await talk.rig.send(BotStoppedSpeakingFrame())
        await talk.rig.get(BotStoppedSpeakingFrame, 3)
        await talk.user("Gracias por todo.")
        assert [role for role, _ in talk.told] == ["user", "assistant", "user", "assistant", "user"]
        assert talk.continued == [False, False, False]


async def test_a_short_answer_to_a_turn_that_was_cut_is_replied_to_once_it_was_heard() -> None:
    async with talking() as talk:
        await talk.user(FIRST)
        await talk.bot("Claro, busco", secs=0.8)
        await talk.user(SECOND)
        await talk.bot("Hecho.", secs=0.5)
        await talk.rig.send(BotStoppedSpeakingFrame())
        await talk.rig.get(BotStoppedSpeakingFrame, 3)
        await talk.user("Resérvalos ahora mismo.")
        assert [role for role, _ in talk.told] == ["user", "assistant", "user"]
        assert talk.continued == [False, True, False]


async def test_what_a_tool_gave_or_a_step_of_the_flow_said_in_between_keeps_them_apart() -> None:
    async with talking() as talk:
        await talk.user(FIRST)
        talk.context.add_message({"role": "developer", "content": "Now say goodbye."})
        await talk.bot("Adiós", secs=0.4)
        await talk.user(SECOND)
        assert [role for role, _ in talk.told] == ["user", "developer", "assistant", "user"]
        assert talk.last_request == talk.told
        assert talk.continued == [False, False]


async def test_whoever_goes_on_late_is_not_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(going_on, "GOES_ON_SECS", 0.0)
    async with talking() as talk:
        await talk.user(FIRST)
        await talk.user("¿Sigues ahí todavía?")
        assert talk.told == [("user", FIRST), ("user", "¿Sigues ahí todavía?")]
        assert talk.continued == [False, False]


async def test_the_language_of_a_turn_that_was_cut_is_that_of_the_whole() -> None:
    async with talking() as talk:
        await talk.user("Ponme la película que vimos ayer en casa.")
        await talk.bot("Claro, busco", secs=0.8)
        await talk.user("The lord of the rings.", Language.EN)
        assert talk.changes == []
        await talk.bot("La pongo ahora mismo", secs=4)
        await talk.user("thanks", Language.EN)
        await talk.bot("La pongo ahora mismo", secs=4)
        # Three words in two turns, the second of which is cut off.
        await talk.user("could", Language.EN)
        await talk.bot("Claro", secs=0.8)
        await talk.user("we", Language.EN)
        assert talk.continued[-3:] == [False, False, True]
        assert talk.changes == [Language.EN]


async def test_whoever_replies_in_the_other_language_starts_a_turn_of_its_own() -> None:
    """The short answer was heard to its end, soon as the reply comes."""
    async with talking(guesses=True) as talk:
        await talk.user("Could we go on in English.", Language.EN)
        await talk.bot("Of course.", secs=0.2)
        await talk.rig.send(BotStoppedSpeakingFrame())
        await talk.user("Quiero llevar a mi hermana.", Language.ES)

    assert talk.changes == [Language.EN, Language.ES]
