"""Guesses that the user's turn is over, and has the model answer early.

The answer is held back until the turn is over, and discarded if the user goes on.
"""

import time

from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VAD_STOP_SECS, VADState
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMRunFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy

from sonora_app.turns.detectors import STOP_SECS, VERDICT_SECS, Silero, SmartTurn
from sonora_app.turns.expectations.grammar import Expectations
from sonora_app.turns.guess import Guess
from sonora_app.turns.patience import ANSWER_SECS, STIRRED_SECS, WORDS_SECS, Patience, patience
from sonora_app.turns.pipecat_frames import MORE_TO_COME, as_pipecat_stops, final
from sonora_app.turns.so_far import SoFar
from sonora_app.turns.tasks import TurnTasks
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from sonora_app.vendors.frames import (
    NoTurnFrame,
    UserHushedFrame,
    UserPausedFrame,
    UserResumedFrame,
    UserSpokeBrieflyFrame,
    UserStirredFrame,
)
from sonora_app.vendors.openai.speculation import AnswerReadyFrame, GuessRefusedFrame

_LOOK_SECS = 0.02
"""How often to check whether the user, who may be speaking again, really is. In seconds."""


class ForeseeingTurnStop(TurnAnalyzerUserTurnStopStrategy):
    """Pipecat's smart-turn strategy, extended: it has a turn answered before the turn is over.

    Args:
        smart_turn: Tells whether a turn sounds complete.
        silero: Tells whether the user is silent.
        expectations: Tells by the words, and by what was asked, whether more is to come.

    Attributes:
        expectations: The same. Replaced when the language changes.
    """

    def __init__(self, smart_turn: SmartTurn, silero: Silero, expectations: Expectations) -> None:
        """Create a strategy for one call."""
        super().__init__(turn_analyzer=smart_turn)
        # Pipecat learns it from Silero's first end of speech. Short words have none.
        self._stop_secs = VAD_STOP_SECS
        self.expectations = expectations
        self._smart_turn = smart_turn
        self._silero = silero
        self._begun = False
        self._open = False  # whether it has begun, and its end is still to be told
        self._speaking = False  # whether Silero has reported so
        self._so_far = SoFar()
        self._stirred_until = 0.0
        self._guess = Guess()
        self._tasks = TurnTasks(self)

    # --- The turn

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow the turn, frame by frame."""
        await self._take_note(frame)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speaking = False
            # Beside what comes in: smart-turn may take as long as the transcript.
            self._tasks.begin("judging", self._judge(frame))
            return ProcessFrameResult.CONTINUE
        result = await super().process_frame(frame)
        match frame:
            case TranscriptionFrame():
                ending = self._tasks.is_due("ending")
                await self._answer_early(sure=ending)
                if self._tasks.is_due("ending"):  # by what the turn ends in now
                    await self._end()
            case AllTranscribedFrame() if said := self._so_far.said:
                self._so_far.all_transcribed, self._so_far.more_coming = True, False
                await self._answer_early()
                await super().process_frame(final(said[-1]))
            case AnswerReadyFrame() | GuessRefusedFrame() if self._tasks.is_due("ending"):
                await self._end()
            case _:
                pass
        if isinstance(frame, TranscriptionFrame | AllTranscribedFrame):
            await self._end_by_words()
        return result

    async def _take_note(self, frame: Frame) -> None:
        match frame:
            case UserHushedFrame():
                # The next finalized transcript may be complete. Pipecat takes what came so far
                # for less than all of it once more words are announced.
                self._so_far.all_transcribed = False
                if not self._speaking:  # it may be amid a word: Silero has not heard the voice out
                    self._stirred_until = time.monotonic() + STIRRED_SECS
                await super().process_frame(MORE_TO_COME)
            case UserPausedFrame() if self._speaking:  # else nobody listens to the user
                self._pause_began(frame.quiet_secs)
            case UserStirredFrame():
                self._stirred_until = time.monotonic() + STIRRED_SECS
            case UserSpokeBrieflyFrame() if not self._speaking:
                # Whether it had words is known when the recogniser has told.
                self._stirred_until = time.monotonic() + STIRRED_SECS if self._begun else 0.0
                self._pause_began(frame.quiet_secs)
            case VADUserStartedSpeakingFrame():
                self._speaking = True
                await self._resumed()
            case UserResumedFrame() if self._speaking:  # else it may be no voice that goes on
                await self._resumed()
            case VADUserStoppedSpeakingFrame() if self._so_far.quiet_since is None:
                self._so_far.quiet_since = time.monotonic() - frame.stop_secs
            case TranscriptionFrame() if frame.text.strip():
                self._so_far.heard(frame.text, finalized=frame.finalized)
                self._guess.refused = False
            case InterimTranscriptionFrame():
                self._so_far.announced(speaking=self._speaking)
                if self._so_far.quiet_since is None:
                    await self._withdraw_unless_polite(frame.text)
            case AnswerReadyFrame():
                self._guess.begins(frame.request)
            case GuessRefusedFrame():
                if self._guess.refuse(frame.request):
                    await self.push_frame(LLMRunFrame())
            case InterruptionFrame():
                self._guess.drop()  # the answer that was held back is gone
            case NoTurnFrame() if not self._begun:
                await self._forget()
            case _:
                pass

    async def trigger_user_turn_stopped(
        self, *, enable_user_speaking_frames: bool | None = None
    ) -> None:
        """End the turn once that is sure, and have it answered until then."""
        if not self._open or self._tasks.is_due("ending"):
            return
        if self._left_secs() > 0:
            await self._answer_early(sure=True)
        await self._end()

    async def handle_user_turn_started(self) -> None:
        """Begin a turn. Over the bot's speech its words come before it."""
        # Smart-turn may be judging the very voice whose words begin the turn.
        await self._tasks.stop("judging", "asking", "ending")
        await self._withdraw()
        self._guess = Guess()
        self._begun = self._open = True
        await super().handle_user_turn_started()

    async def handle_user_turn_stopped(self) -> None:
        """Leave nothing of a turn that is over."""
        self._begun = self._open = False
        await self._forget()
        await super().handle_user_turn_stopped()

    async def cleanup(self) -> None:
        """Stop what is running."""
        await self._tasks.stop()
        await super().cleanup()

    async def _forget(self) -> None:
        await self._tasks.stop()
        self._guess.turn_is_over()
        await self._withdraw()
        self._so_far = SoFar()
        self._guess.refused = False

    def _pause_began(self, quiet_secs: float) -> None:
        self._so_far.quiet_since = time.monotonic() - quiet_secs
        self._tasks.begin("foreseeing", self._foresee(quiet_secs))

    async def _resumed(self) -> None:
        """The user makes a sound. After a whole answer it may be the end of it, or a “please”."""
        self._open = self._begun
        self._so_far.goes_on()
        self._guess.refused = False
        self._smart_turn.went_on()
        await self._tasks.stop()
        if not self._guess.is_whole:
            await self._withdraw()

    # --- The guess

    async def _foresee(self, quiet_secs: float) -> None:
        verdict = await self._smart_turn.foresee(quiet_secs, by_secs=VERDICT_SECS)
        # A verdict that is late still decides when the turn is over, but is not waited for twice.
        self._so_far.complete = verdict is not EndOfTurnState.INCOMPLETE
        await self._answer_early()

    async def _judge(self, stopped: VADUserStoppedSpeakingFrame) -> None:
        """Have smart-turn judge at the end of speech; answer in time what sounds unfinished."""
        await super().process_frame(as_pipecat_stops(stopped))
        await self._end_by_words()
        if self._open and not self._smart_turn.found_complete:
            self._ask_after(self._smart_turn.params.stop_secs - ANSWER_SECS)

    async def _answer_early(self, *, sure: bool = False) -> None:
        """Have the turn answered, if its whole transcript is known and it is probably over.

        Args:
            sure: Whether the turn will be over unless the user goes on.
        """
        so_far, text = self._so_far, self._so_far.text
        if not self._begun or not text or so_far.quiet_since is None or self._guess.refused:
            return
        complete = so_far.complete or self._patience().by_words
        if not sure and not (complete and so_far.all_transcribed):
            return
        due = max(so_far.quiet_since + self._patience().ask_secs, self._stirred_until)
        if due > time.monotonic():
            self._ask_after(due - time.monotonic())
        elif not self._guess.is_of(self.expectations.gist(text, begun=not sure)):
            await self._withdraw()
            gist, whole = self.expectations.gist(text), self._patience().by_words
            asked = self._guess.ask(text, gist, whole=whole)
            await self.trigger_user_turn_inference_triggered(speculation=asked)

    def _ask_after(self, secs: float) -> None:
        if not self._tasks.is_due("asking"):
            self._tasks.begin_after(secs, "asking", self._ask)

    async def _ask(self) -> None:
        if self._silero.state is VADState.QUIET:
            await self._answer_early(sure=True)
        else:
            self._ask_after(_LOOK_SECS)

    async def _withdraw_unless_polite(self, announced: str) -> None:
        """The user says more. Thanks and a “please” leave a whole answer the same."""
        said = f"{self._so_far.text} {announced}"
        if not self._guess.is_of(self.expectations.gist(said, begun=True)):
            await self._withdraw()

    async def _withdraw(self) -> None:
        if self._guess.drop():
            await self.trigger_user_turn_speculation_cancelled()

    # --- The end

    def _patience(self) -> Patience:
        return patience(
            self.expectations.ending(self._so_far.text),
            unfinished_secs=STOP_SECS + self._smart_turn.params.stop_secs,
        )

    def _left_secs(self) -> float:
        """How much longer the silence has to last for the turn to be over."""
        since = self._so_far.quiet_since
        return 0.0 if since is None else since + self._patience().over_secs - time.monotonic()

    def _may_go_on(self) -> bool:
        """Whether the user seems to be speaking again, or words are still to come."""
        words = self._so_far.more_coming and self._left_secs() > -WORDS_SECS
        stirred = time.monotonic() < self._stirred_until
        return words or stirred or self._silero.state is not VADState.QUIET

    async def _end_by_words(self) -> None:
        known = self._open and not self._speaking and self._so_far.all_transcribed
        if known and self._patience().by_words:
            await self.trigger_user_turn_stopped()

    async def _end(self) -> None:
        """End the turn, or see to it that it is ended in time."""
        if not self._open:
            return
        at_once = self._patience().until_answered and not self._guess.is_awaited
        left = 0.0 if at_once else self._left_secs()
        if self._may_go_on():
            left = max(left, _LOOK_SECS)
        if left > 0:
            await self._tasks.stop("ending")
            self._tasks.begin_after(left, "ending", self._end)
            return
        # Before anything is waited for, or it would be ended twice.
        self._open = False
        await self._tasks.stop()
        if self._open:  # the user went on meanwhile
            return
        if self._guess.is_of(self.expectations.gist(self._so_far.text)):
            with self._guess.confirmed():
                await self.trigger_user_turn_finalized(confirms_speculation=True)
        else:
            await self._withdraw()
            await super().trigger_user_turn_stopped()
