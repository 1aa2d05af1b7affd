"""An answer that is begun before the turn is over: heard only if the guess held, and else gone.

The turn's frames are sent by hand, so that little depends on how quick this machine is: what does
is marked. The strategy, the aggregators and the model's service are the call's own, and OpenAI is a
server here.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.turns.user_start import ExternalUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.rig import Rig, rigged
from sonora_app.llm import build_llm
from sonora_app.settings import Language, Settings
from sonora_app.turns.detectors import Silero, SmartTurn, build_silero, build_smart_turn
from sonora_app.turns.expectations.grammar import Expectations
from sonora_app.turns.patience import STIRRED_SECS, SURE_SECS
from sonora_app.turns.proposed_stop import ProposedTurnStop
from sonora_app.turns.stop import ForeseeingTurnStop
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from sonora_app.vendors.frames import (
    UserHushedFrame,
    UserPausedFrame,
    UserResumedFrame,
    UserSpokeBrieflyFrame,
    UserStirredFrame,
)
from sonora_app.vendors.openai.speculation import GuessRefusedFrame

pytestmark = pytest.mark.session

HALF, REST = "Quiero ir de viaje en abril", "con mis dos hermanos."
BRIEF = "Quiero ir de viaje."
HANGING = "Quiero viajar con mis."
QUESTION = "¿Te parece bien?"
UNFINISHED_SECS = 1.4
ANSWER = "Claro, dime más."


class Verdict(SmartTurn):
    """Smart-turn whose probability is the test's."""

    complete = True
    asked = 0
    takes_secs = 0.0
    stopped: asyncio.Event | None = None

    async def foresee(
        self, quiet_secs: float, *, by_secs: float | None = None
    ) -> EndOfTurnState | None:
        if self.stopped is None:
            return await super().foresee(quiet_secs, by_secs=by_secs)
        try:
            return await super().foresee(quiet_secs)
        finally:
            self.stopped.set()
            await asyncio.sleep(0.3)

    def _predict_endpoint(self, audio_array: Any) -> dict[str, Any]:
        self.asked += 1
        time.sleep(self.takes_secs)
        return {"prediction": int(self.complete), "probability": float(self.complete)}


class Murmur(Silero):
    """Silero whose state is the test's."""

    heard = VADState.QUIET

    @property
    def state(self) -> VADState:
        return self.heard


class Ear(FrameProcessor):
    """Where the voice would stand: keeps what is let through to it."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.grown = asyncio.Condition()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            async with self.grown:
                self.frames.append(frame)
                self.grown.notify_all()
        await self.push_frame(frame, direction)


class Crossing(FrameProcessor):
    """Before the model: lets a refusal of its pass only once something else has crossed it."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.held: list[GuessRefusedFrame] = []
        self.holds = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if self.holds and isinstance(frame, GuessRefusedFrame):
            self.held.append(frame)
            return
        await self.push_frame(frame, direction)

    async def let_pass(self) -> None:
        for frame in self.held:
            await self.push_frame(frame, FrameDirection.UPSTREAM)


@dataclass
class Turn:
    """A user's turn, frame by frame."""

    rig: Rig
    openai: OpenAIVendor
    context: LLMContext
    smart_turn: Verdict
    silero: Murmur
    ear: Ear
    crossing: Crossing

    async def begin(self) -> None:
        await self.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        audio = (np.ones(320) * 1000).astype(np.int16).tobytes()
        await self.rig.send(InputAudioRawFrame(audio, 16_000, 1))

    async def hush(self) -> None:
        await self.rig.send(UserHushedFrame(quiet_secs=0.04))

    async def pause(self) -> None:
        await self.hush()
        await self.go_on_pausing()

    async def go_on_pausing(self) -> None:
        await self.rig.send(UserPausedFrame(quiet_secs=0.06))

    async def heard(self, text: str) -> None:
        await self.rig.send(TranscriptionFrame(text, "", "2026-01-01T00:00:00Z", finalized=True))

    async def resume(self) -> None:
        await self.rig.send(UserResumedFrame())

    async def stop(self) -> None:
        await self.rig.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))

    @property
    def said(self) -> list[tuple[str, str]]:
        """The context's messages, without the instructions."""
        return [
            (message["role"], str(message.get("content")))
            for message in self.context.get_messages()
            if isinstance(message, dict) and message["role"] in ("user", "assistant")
        ]

    @property
    def answer(self) -> str:
        """What was let through of the model's answers."""
        return "".join(frame.text for frame in self.ear.frames if isinstance(frame, LLMTextFrame))

    async def answered(self) -> None:
        """Wait until the whole answer was let through and is remembered."""
        async with asyncio.timeout(15), self.ear.grown:
            await self.ear.grown.wait_for(lambda: bool(self.answer) and self._is_whole())
        async with asyncio.timeout(15):
            while not self.said or self.said[-1][0] != "assistant":
                await asyncio.sleep(0.01)

    def _is_whole(self) -> bool:
        ends_in = [
            isinstance(frame, LLMFullResponseEndFrame)
            for frame in self.ear.frames
            if isinstance(frame, LLMTextFrame | LLMFullResponseEndFrame)
        ]
        return ends_in[-1]


@asynccontextmanager
async def turn(
    reply: Reply | None = None,
    tools: Any = None,
    *,
    asked: str = "",
    begun: bool = True,
    proposed: UserTurnStrategies | None = None,
) -> AsyncGenerator[Turn]:
    """A user who has begun to speak, or is about to, after the bot has said `asked`.

    With `proposed` the recogniser finds their turns, and these decide on what it proposes.
    """
    openai = OpenAIVendor("key")
    openai.model = lambda _: reply or Reply(ANSWER)
    async with openai.serving():
        settings = Settings.model_validate(
            {"ENV": "local", "OPENAI_API_KEY": "key", "OPENAI_BASE_URL": openai.url}
        )
        smart_turn = build_smart_turn(stop_secs=UNFINISHED_SECS)
        smart_turn.__class__ = Verdict
        assert isinstance(smart_turn, Verdict)
        silero = build_silero()
        silero.__class__ = Murmur
        assert isinstance(silero, Murmur)
        context = LLMContext(tools=tools) if tools else LLMContext()
        stop = ForeseeingTurnStop(smart_turn, silero, Expectations(Language.ES, lambda: asked))
        pair = LLMContextAggregatorPair(
            context,
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=proposed or UserTurnStrategies(stop=[stop])
            ),
        )
        ear, crossing = Ear(), Crossing()
        parts = (pair.user(), crossing, build_llm(settings), ear, pair.assistant())
        async with rigged(*parts) as rig:
            user = Turn(rig, openai, context, smart_turn, silero, ear, crossing)
            if begun:
                await user.begin()
            yield user


async def test_a_guess_that_holds_is_answered_once_when_the_turn_is_over() -> None:
    async with turn() as user:
        await user.pause()
        await user.heard(HALF)
        await user.openai.log.wait_for("answered")
        assert user.said == []
        assert user.answer == ""
        await user.stop()
        await user.answered()
        kinds = [type(frame) for frame in user.ear.frames]
        assert kinds.index(UserStoppedSpeakingFrame) < kinds.index(LLMTextFrame)
        assert user.answer == ANSWER
        assert user.said == [("user", HALF), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_a_transcript_from_before_the_hush_was_a_pause_is_answered() -> None:
    async with turn() as user:
        await user.hush()
        await user.heard(HALF)
        await asyncio.sleep(0.1)  # what follows would overtake it
        await user.go_on_pausing()
        await user.openai.log.wait_for("answered")
        await user.stop()
        await user.answered()
        assert user.said == [("user", HALF), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_a_transcript_of_a_hush_that_was_no_pause_is_not_taken_for_all() -> None:
    async with turn() as user:
        await user.hush()
        await user.heard(HALF)
        await asyncio.sleep(0.1)  # what follows would overtake it
        await user.resume()
        await user.pause()
        while not user.smart_turn.asked:
            await asyncio.sleep(0.01)
        await user.heard(REST)
        await user.openai.log.wait_for("answered")
        await user.stop()
        await user.answered()
        assert [ChatRequest(body).last_said for body in user.openai.bodies] == [f"{HALF} {REST}"]


async def test_a_withdrawn_guess_leaves_nothing_behind() -> None:
    async with turn(Reply("Nunca oído.", first_token_secs=0.1, token_secs=2)) as user:
        await user.pause()
        await user.heard(HALF)
        await user.openai.log.wait_for("begun")
        await user.resume()
        await user.openai.log.wait_for("abandoned")
        assert user.said == []
        assert user.answer == ""
        user.openai.model = lambda _: Reply(ANSWER)
        await user.pause()
        await user.heard(REST)
        await user.stop()
        await user.answered()
        assert user.answer == ANSWER
        assert user.said == [("user", f"{HALF} {REST}"), ("assistant", ANSWER)]
        asked = [ChatRequest(body).last_said for body in user.openai.bodies]
        assert asked[0] == HALF
        assert asked[-1] == f"{HALF} {REST}"


async def test_a_turn_that_grows_after_the_guess_is_answered_as_it_ended() -> None:
    async with turn() as user:
        await user.pause()
        await user.heard(HALF)
        await user.openai.log.wait_for("answered")
        await user.heard(REST)
        await user.openai.log.wait_for("answered", 2)
        await user.stop()
        await user.answered()
        assert user.answer == ANSWER
        assert user.said == [("user", f"{HALF} {REST}"), ("assistant", ANSWER)]
        assert ChatRequest(user.openai.bodies[-1]).last_said == f"{HALF} {REST}"


@pytest.mark.alone
async def test_a_turn_that_sounds_unfinished_is_not_answered_in_a_pause() -> None:
    async with turn() as user:
        user.smart_turn.complete = False
        await user.pause()
        await user.heard(HALF)
        await user.stop()
        await asyncio.sleep(0.3)
        assert user.openai.bodies == []
        await user.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        user.smart_turn.complete = True
        await user.pause()
        await user.heard(REST)
        await user.stop()
        await user.answered()
        assert user.said[0] == ("user", f"{HALF} {REST}")


async def test_nothing_is_guessed_before_the_words_of_the_pause_are_there() -> None:
    async with turn() as user:
        await user.pause()
        await user.heard(HALF)
        await user.openai.log.wait_for("answered")
        await user.resume()
        await user.pause()
        await asyncio.sleep(0.3)
        assert len(user.openai.bodies) == 1
        await user.heard(REST)
        await user.stop()
        await user.answered()
        assert [ChatRequest(body).last_said for body in user.openai.bodies] == [
            HALF,
            f"{HALF} {REST}",
        ]


@pytest.mark.alone
async def test_who_stops_in_mid_sentence_may_go_on_though_it_sounds_complete() -> None:
    async with turn() as user:
        await user.pause()
        await user.heard(HANGING)
        await user.stop()
        await asyncio.sleep(SURE_SECS + 0.3)
        assert user.openai.bodies == []
        await user.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        await user.pause()
        await user.heard("hermanos")
        await user.stop()
        await user.answered()
        assert user.said[0] == ("user", f"{HANGING} hermanos")
        assert len(user.openai.bodies) == 1


@pytest.mark.alone
@pytest.mark.parametrize(
    ("text", "at_least_secs", "at_most_secs"),
    [
        (HANGING, UNFINISHED_SECS, 2.4),
        ("Somos cuatro", 0.9, 1.5),
        (BRIEF, 0.9, 1.5),
        (HALF, 0.1, 0.9),
    ],
)
async def test_who_does_not_go_on_is_answered(
    text: str, at_least_secs: float, at_most_secs: float
) -> None:
    async with turn() as user:
        await user.pause()
        paused_at = time.monotonic()
        await user.heard(text)
        await user.stop()
        await user.rig.get(UserStoppedSpeakingFrame)
        assert at_least_secs - 0.1 < time.monotonic() - paused_at < at_most_secs
        await user.answered()
        assert user.said == [("user", text), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


@pytest.mark.alone
async def test_a_turn_left_open_is_over_soon_once_it_gets_its_last_words() -> None:
    async with turn() as user:
        await user.pause()
        paused_at = time.monotonic()
        await user.heard(HANGING)
        await user.stop()
        await user.heard("hermanos")
        await user.answered()
        assert time.monotonic() - paused_at < UNFINISHED_SECS - 0.4
        assert user.said[0] == ("user", f"{HANGING} hermanos")


async def test_the_digits_that_were_asked_for_end_the_turn_and_fewer_leave_it_open() -> None:
    async with turn(asked="¿Cuáles son las cuatro últimas de tu tarjeta?") as user:
        await user.pause()
        await user.heard("Cinco cinco doble.")
        await user.stop()
        await asyncio.sleep(1.0)
        assert user.said == []
        await user.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        user.smart_turn.complete = False
        paused_at = time.monotonic()
        await user.pause()
        await user.heard("Uno.")
        await user.stop()
        await user.answered()
        assert time.monotonic() - paused_at < UNFINISHED_SECS - 0.4
        assert user.said[0] == ("user", "Cinco cinco doble. Uno.")


@pytest.mark.alone
async def test_nothing_is_asked_while_the_user_may_be_speaking_again() -> None:
    async with turn() as user:
        await user.pause()
        await user.heard(HANGING)
        await user.stop()
        user.silero.heard = VADState.STARTING
        await asyncio.sleep(UNFINISHED_SECS + 0.3)
        assert user.openai.bodies == []
        user.silero.heard = VADState.QUIET
        await user.answered()
        assert user.said == [("user", HANGING), ("assistant", ANSWER)]


@pytest.mark.alone
async def test_a_sound_in_the_pause_delays_the_answer_until_it_is_known_for_what_it_is() -> None:
    async with turn() as user:
        await user.pause()
        await user.rig.send(UserStirredFrame())
        await user.heard(HALF)
        await user.stop()
        await asyncio.sleep(STIRRED_SECS / 2)
        assert user.openai.bodies == []
        await user.answered()
        assert user.said == [("user", HALF), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


@pytest.mark.alone
@pytest.mark.parametrize(("complete", "asked"), [(True, 1), (False, 2)])
async def test_smart_turn_judges_again_only_what_sounded_unfinished(
    complete: bool, asked: int
) -> None:
    async with turn() as user:
        user.smart_turn.complete = complete
        await user.pause()
        await user.heard(HALF)
        await user.stop()
        await asyncio.sleep(0.3)
        assert user.smart_turn.asked == asked


async def test_an_answer_does_not_wait_for_a_verdict_that_is_late() -> None:
    async with turn() as user:
        user.smart_turn.takes_secs = 1.0
        await user.pause()
        paused_at = time.monotonic()
        await user.heard(HALF)
        await user.openai.log.wait_for("answered")
        assert time.monotonic() - paused_at < user.smart_turn.takes_secs
        assert user.answer == ""  # the verdict decides when the turn is over
        await user.stop()
        await user.answered()
        assert time.monotonic() - paused_at >= user.smart_turn.takes_secs
        assert user.said == [("user", HALF), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_a_sound_in_the_pause_that_may_be_no_voice_withdraws_no_guess() -> None:
    async with turn() as user:
        await user.pause()
        await user.heard(HALF)
        await user.stop()
        await user.resume()
        await user.answered()
        assert user.said == [("user", HALF), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_the_last_sound_of_a_whole_answer_withdraws_no_guess() -> None:
    async with turn(asked=QUESTION) as user:
        user.smart_turn.complete = False
        await user.pause()
        await user.heard("No, gracias.")
        await user.openai.log.wait_for("answered")
        await user.resume()
        await user.pause()
        await user.rig.send(AllTranscribedFrame())
        await user.stop()
        await user.answered()
        assert user.said == [("user", "No, gracias."), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_who_goes_on_after_yes_is_answered_as_they_end() -> None:
    async with turn(asked=QUESTION) as user:
        await user.pause()
        await user.heard("Sí.")
        await user.openai.log.wait_for("answered")
        await user.resume()
        await user.rig.send(InterimTranscriptionFrame("pero", "", "2026-01-01T00:00:00Z"))
        await user.rig.get(EagerEndOfTurnCancelFrame)
        await user.pause()
        await user.heard("pero no por la tarde.")
        await user.stop()
        await user.answered()
        assert user.said == [("user", "Sí. pero no por la tarde."), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 2


async def test_who_goes_on_just_as_the_turn_is_being_ended_is_in_it_still() -> None:
    async with turn(Reply(ANSWER, first_token_secs=1.0), asked=QUESTION) as user:
        user.smart_turn.takes_secs, user.smart_turn.stopped = 2.0, asyncio.Event()
        await user.pause()
        await user.stop()
        await user.heard("Sí.")
        async with asyncio.timeout(10):
            await user.smart_turn.stopped.wait()
        # The turn is ended once what runs beside it has stopped.
        await user.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        await asyncio.sleep(0.5)
        assert not user.rig.all(UserStoppedSpeakingFrame)
        user.smart_turn.takes_secs, user.smart_turn.stopped = 0.0, None
        await user.pause()
        await user.heard("pero no por la tarde.")
        await user.stop()
        await user.answered()
        assert user.said == [("user", "Sí. pero no por la tarde."), ("assistant", ANSWER)]


@pytest.mark.parametrize("reported", [False, True])
async def test_thanks_after_a_whole_answer_cost_no_second_one(reported: bool) -> None:
    async with turn(asked=QUESTION) as user:
        user.smart_turn.complete = False
        await user.pause()
        await user.heard("No.")
        await user.openai.log.wait_for("answered")
        if reported:  # Silero has heard the voice out, and hears another
            await user.rig.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        else:
            await user.resume()
        for word in ("Muchas", "gracias"):  # she takes her time
            await user.rig.send(InterimTranscriptionFrame(word, "", "2026-01-01T00:00:00Z"))
            await asyncio.sleep(0.1)  # what follows would overtake it
            await user.pause()
            await user.heard(f"{word}.")
            await asyncio.sleep(0.1)
            if word == "Muchas":
                await user.resume()
        await user.stop()
        await user.answered()
        assert user.said == [("user", "No. Muchas. gracias."), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_what_begins_like_a_please_is_answered_as_it_ends() -> None:
    async with turn(asked=QUESTION) as user:
        await user.pause()
        await user.heard("Sí.")
        await user.openai.log.wait_for("answered")
        await user.resume()
        for interim in ("por", "por la"):
            await user.rig.send(InterimTranscriptionFrame(interim, "", "2026-01-01T00:00:00Z"))
        await user.rig.get(EagerEndOfTurnCancelFrame)
        await user.pause()
        await user.heard("por la tarde mejor.")
        await user.stop()
        await user.answered()
        assert user.said == [("user", "Sí. por la tarde mejor."), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 2


async def test_a_word_too_short_for_silero_is_answered_early_though_it_is_the_first() -> None:
    async with turn(begun=False) as user:
        user.smart_turn.complete = False
        await user.rig.send(STTMetadataFrame(service_name="", ttfs_p99_latency=0.35))
        await user.hush()
        await user.rig.send(UserSpokeBrieflyFrame(quiet_secs=0.06))
        await asyncio.sleep(0.15)  # what the transcript takes
        await user.heard("Hola.")
        await user.openai.log.wait_for("request")
        assert not user.rig.all(UserStoppedSpeakingFrame)
        await user.answered()
        assert user.said == [("user", "Hola."), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 1


async def test_a_hush_amid_a_first_word_ends_no_turn_before_silero_has_heard_it_out() -> None:
    async with turn(begun=False) as user:
        await user.hush()
        await user.heard(HALF)
        await asyncio.sleep(STIRRED_SECS / 2)
        await user.begin()
        await asyncio.sleep(STIRRED_SECS)
        assert not user.rig.all(UserStoppedSpeakingFrame)
        await user.pause()
        await user.heard(REST)
        await user.stop()
        await user.answered()
        assert user.said == [("user", f"{HALF} {REST}"), ("assistant", ANSWER)]


async def test_a_tool_is_called_once_and_only_when_the_turn_is_over() -> None:
    called: list[str] = []

    async def look_up(params: FunctionCallParams) -> None:
        """Look something up."""
        called.append("stopped" if over else "open")
        await params.result_callback({"status": "found"})

    over = False
    replies = [
        Reply(calls=(ToolCall("look_up"),)),
        Reply(calls=(ToolCall("look_up"),)),
        Reply(ANSWER),
    ]
    async with turn(tools=[look_up]) as user:
        user.openai.model = lambda _: replies.pop(0)
        await user.pause()
        await user.heard(HALF)
        await user.openai.log.wait_for("answered")
        await asyncio.sleep(0.1)
        assert called == []
        over = True
        await user.stop()
        await user.answered()
        assert called == ["stopped"]
        assert user.answer == ANSWER
        assert not replies


def wants_a_tool_in(half: str) -> Callable[[ChatRequest], Reply]:
    """A model that wants a tool for a part of what is said, and answers the whole."""

    def answer(request: ChatRequest) -> Reply:
        wants = request.last_said == half and request.messages[-1]["role"] == "user"
        return Reply(calls=(ToolCall("look_up"),)) if wants else Reply(ANSWER)

    return answer


async def look_up(params: FunctionCallParams) -> None:
    """Look something up."""
    await params.result_callback({"status": "found"})


async def test_a_tool_wanted_just_as_the_guess_is_withdrawn_costs_no_second_answer() -> None:
    async with turn(tools=[look_up]) as user:
        user.openai.model = wants_a_tool_in(HALF)
        user.crossing.holds = True
        await user.pause()
        await user.heard(HALF)
        await _until(lambda: bool(user.crossing.held))
        await user.heard(REST)  # and is guessed anew
        await user.openai.log.wait_for("answered", 2)
        await user.crossing.let_pass()
        await asyncio.sleep(0.1)  # what follows would overtake it
        await user.stop()
        await user.answered()
        await asyncio.sleep(0.3)  # in which it would be answered again
        assert user.answer == ANSWER
        assert user.said == [("user", f"{HALF} {REST}"), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 2


def found_by_the_recogniser() -> UserTurnStrategies:
    return UserTurnStrategies(start=[ExternalUserTurnStartStrategy()], stop=[ProposedTurnStop()])


async def test_nor_does_it_where_the_recogniser_guesses() -> None:
    async with turn(tools=[look_up], begun=False, proposed=found_by_the_recogniser()) as user:
        user.openai.model = wants_a_tool_in(HALF)
        user.crossing.holds = True
        whole = f"{HALF} {REST}"
        await user.rig.send(ProposedUserStartedSpeakingFrame())
        await user.rig.send(EagerTranscriptionFrame(HALF, "", ""))
        await _until(lambda: bool(user.crossing.held))
        await user.rig.send(EagerEndOfTurnCancelFrame(), EagerTranscriptionFrame(whole, "", ""))
        await user.openai.log.wait_for("answered", 2)
        await user.crossing.let_pass()
        await asyncio.sleep(0.1)  # what follows would overtake it
        await user.rig.send(TranscriptionFrame(whole, "", "", finalized=True))
        await user.rig.send(ProposedUserStoppedSpeakingFrame())
        await user.answered()
        await asyncio.sleep(0.3)  # in which it would be answered again
        assert user.answer == ANSWER
        assert user.said == [("user", whole), ("assistant", ANSWER)]
        assert len(user.openai.bodies) == 2


async def test_a_tool_wanted_just_as_the_recogniser_ends_the_turn_is_called() -> None:
    async with turn(tools=[look_up], begun=False, proposed=found_by_the_recogniser()) as user:
        user.openai.model = wants_a_tool_in(HALF)
        user.crossing.holds = True
        await user.rig.send(ProposedUserStartedSpeakingFrame())
        await user.rig.send(EagerTranscriptionFrame(HALF, "", ""))
        await _until(lambda: bool(user.crossing.held))
        await user.rig.send(TranscriptionFrame(HALF, "", "", finalized=True))
        await user.rig.send(ProposedUserStoppedSpeakingFrame())
        await user.rig.get(UserStoppedSpeakingFrame)
        await user.crossing.let_pass()
        await user.answered()
        assert user.answer == ANSWER
        assert [ChatRequest(body).messages[-1]["role"] for body in user.openai.bodies] == [
            "user",
            "user",
            "tool",
        ]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_an_answer_that_fails_before_the_turn_is_over_is_asked_for_again() -> None:
    refused = Reply(status=500)
    replies = [refused, refused, Reply(ANSWER)]  # OpenAI's client asks twice by itself
    async with turn() as user:
        user.openai.model = lambda _: replies.pop(0)
        await user.pause()
        await user.heard(HALF)
        await user.rig.get(EagerEndOfTurnCancelFrame)
        assert not user.rig.all(ErrorFrame)
        await user.stop()
        await user.answered()
        assert user.said == [("user", HALF), ("assistant", ANSWER)]
        assert not user.rig.all(ErrorFrame)
