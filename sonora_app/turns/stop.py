"""Guesses that the user's turn is over, and has the model answer early.

The answer is held back until the turn is over, and discarded if the user goes on.
"""

import asyncio
import time

from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMRunFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_stop import NormalizedMatch, TurnAnalyzerUserTurnStopStrategy

from sonora_app.turns.detectors import STOP_SECS, Silero, SmartTurn
from sonora_app.turns.endings.grammar import Endings
from sonora_app.turns.patience import (
    ANSWER_SECS,
    STIRRED_SECS,
    WORDS_SECS,
    Patience,
    patience,
)
from sonora_app.turns.pipecat_frames import MORE_TO_COME, as_pipecat_stops, final
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from sonora_app.vendors.frames import (
    UserHushedFrame,
    UserPausedFrame,
    UserResumedFrame,
    UserStirredFrame,
)
from sonora_app.vendors.openai.speculation import AnswerReadyFrame

_LOOK_SECS = 0.02
"""How often to check whether the user, who may be speaking again, really is. In seconds."""

_MATCH = NormalizedMatch()


class ForeseeingTurnStop(TurnAnalyzerUserTurnStopStrategy):
    """Pipecat's smart-turn strategy, extended: it has a turn answered before the turn is over.

    Args:
        smart_turn: Tells whether a turn sounds complete.
        silero: Tells whether the user is silent.
        endings: Tells by the words whether more is to come.

    Attributes:
        endings: The same. Replaced when the language changes.
    """

    def __init__(self, smart_turn: SmartTurn, silero: Silero, endings: Endings) -> None:
        """Create a strategy for one call."""
        super().__init__(turn_analyzer=smart_turn)
        self.endings = endings
        self._smart_turn = smart_turn
        self._silero = silero
        # Whether a turn is open, and whether its end will keep the guess.
        self._open = self._held = False
        # Whether the turn that is over was answered by a guess.
        self._kept = False
        # What was said in this turn, and whether more was announced.
        self._said: list[str] = []
        self._more_coming = False
        self._quiet_since: float | None = None
        self._stirred_until = 0.0
        self._foreseeing: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        # Whether the user speaks, and whether what they said is transcribed.
        self._speaking = self._all_transcribed = False
        self._complete = False
        self._speculation: UserTurnSpeculation | None = None
        self._ready = False
        self._wants_tool = False
        self._ending: asyncio.Task[None] | None = None

    # --- What happens

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow the turn, frame by frame."""
        match frame:
            case UserHushedFrame():
                # The next finalized transcript may be complete. Pipecat takes what came so far
                # for less than all of it once more words are announced.
                self._all_transcribed = False
                await super().process_frame(MORE_TO_COME)
            case UserPausedFrame():
                self._paused(frame.quiet_secs)
            case UserStirredFrame():
                self._stirred_until = time.monotonic() + STIRRED_SECS
            case VADUserStartedSpeakingFrame() | UserResumedFrame():
                self._speaking = self._speaking or isinstance(frame, VADUserStartedSpeakingFrame)
                await self._resumed()
            case VADUserStoppedSpeakingFrame() if self._quiet_since is None:
                self._quiet_since = time.monotonic() - frame.stop_secs
            case TranscriptionFrame() if frame.text.strip():
                self._said.append(frame.text)
                self._wants_tool = self._more_coming = False
                self._all_transcribed = self._all_transcribed or frame.finalized
            case InterimTranscriptionFrame():
                self._more_coming = True
                self._all_transcribed = False
            case AnswerReadyFrame():
                self._ready = True
            case EagerEndOfTurnCancelFrame():
                # The model wants a tool, which it gets only in a turn that is over.
                self._speculation = None
                self._wants_tool = True
                if self._kept:
                    # It wanted it just before it heard that the turn is over.
                    self._kept = False
                    await self.push_frame(LLMRunFrame())
            case InterruptionFrame():
                # The answer that was held back is gone.
                self._speculation = None
            case _:
                pass
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speaking = False
            # Beside what comes in: smart-turn may take as long as the transcript.
            self._judging = self.task_manager.create_task(self._judge(frame), f"{self}::_judge")
            return ProcessFrameResult.CONTINUE
        result = await super().process_frame(frame)
        match frame:
            case TranscriptionFrame():
                await self._guess(sure=self._ending is not None)
                if self._ending is not None:  # by what the turn ends in now
                    await self._end()
            case AllTranscribedFrame() if self._said:
                self._all_transcribed, self._more_coming = True, False
                await self._guess()
                await super().process_frame(final(self._said[-1]))
            case AnswerReadyFrame() | EagerEndOfTurnCancelFrame() if self._ending is not None:
                await self._end()
            case _:
                pass
        return result

    async def trigger_user_turn_stopped(
        self, *, enable_user_speaking_frames: bool | None = None
    ) -> None:
        """End the turn once that is sure, and have it answered until then."""
        if not self._open or self._ending is not None:
            return
        if self._left_secs() > 0:
            await self._guess(sure=True)
        await self._end()

    async def handle_user_turn_started(self) -> None:
        """Begin a turn."""
        await self._forget()
        self._open, self._kept = True, False
        await super().handle_user_turn_started()

    async def handle_user_turn_stopped(self) -> None:
        """Leave nothing of a turn that is over."""
        self._open = False
        await self._forget()
        await super().handle_user_turn_stopped()

    async def cleanup(self) -> None:
        """Stop what is running."""
        await self._stop_tasks()
        await super().cleanup()

    # --- The guess

    def _paused(self, quiet_secs: float) -> None:
        if not self._speaking:
            return  # nobody listens to the user
        self._quiet_since = time.monotonic() - quiet_secs
        self._foreseeing = self.task_manager.create_task(
            self._foresee(quiet_secs), f"{self}::_foresee"
        )

    async def _foresee(self, quiet_secs: float) -> None:
        verdict = await self._smart_turn.foresee(quiet_secs)
        self._complete = verdict is EndOfTurnState.COMPLETE
        await self._guess()

    async def _judge(self, stopped: VADUserStoppedSpeakingFrame) -> None:
        """Have smart-turn judge at the end of speech; answer in time what sounds unfinished."""
        await super().process_frame(as_pipecat_stops(stopped))
        if self._open and not self._smart_turn.found_complete:
            self._ask_after(self._smart_turn.params.stop_secs - ANSWER_SECS)

    async def _resumed(self) -> None:
        self._open = True
        self._quiet_since = None
        self._complete = self._all_transcribed = self._wants_tool = False
        self._smart_turn.went_on()
        await self._stop_tasks()
        await self._withdraw()

    async def _guess(self, *, sure: bool = False) -> None:
        """Have the turn answered, if its whole transcript is known and it is probably over.

        Args:
            sure: Whether the turn will be over unless the user goes on.
        """
        text = " ".join(self._said)
        if not text or self._quiet_since is None or self._wants_tool:
            return
        if not sure and not (self._complete and self._all_transcribed):
            return
        due = max(self._quiet_since + self._patience().ask_secs, self._stirred_until)
        if due > time.monotonic():
            self._ask_after(due - time.monotonic())
            return
        if self._speculation is not None:
            if _MATCH.matches(self._speculation.text, text):
                return
            await self._withdraw()
        self._speculation = UserTurnSpeculation(text=text)
        self._ready = False
        await self.trigger_user_turn_inference_triggered(speculation=self._speculation)

    def _ask_after(self, secs: float) -> None:
        async def ask() -> None:
            await asyncio.sleep(secs)
            self._asking = None
            if self._silero.state is VADState.QUIET:
                await self._guess(sure=True)
            else:
                self._ask_after(_LOOK_SECS)

        if self._asking is None:
            self._asking = self.task_manager.create_task(ask(), f"{self}::_ask")

    async def _withdraw(self) -> None:
        speculation, self._speculation = self._speculation, None
        self._ready = False
        if speculation is not None:
            await self.trigger_user_turn_speculation_cancelled()

    # --- The end

    def _patience(self) -> Patience:
        return patience(
            self.endings.of(" ".join(self._said)),
            unfinished_secs=STOP_SECS + self._smart_turn.params.stop_secs,
        )

    def _left_secs(self) -> float:
        """How much longer the silence has to last for the turn to be over."""
        since = self._quiet_since
        return 0.0 if since is None else since + self._patience().over_secs - time.monotonic()

    def _may_go_on(self) -> bool:
        """Whether the user seems to be speaking again, or words are still to come."""
        words = self._more_coming and self._left_secs() > -WORDS_SECS
        stirred = time.monotonic() < self._stirred_until
        return words or stirred or self._silero.state is not VADState.QUIET

    async def _end_after(self, secs: float) -> None:
        await asyncio.sleep(secs)
        self._ending = None
        await self._end()

    async def _end(self) -> None:
        """End the turn, or see to it that it is ended in time."""
        if not self._open:
            return
        answered = self._ready or self._speculation is None
        left = 0.0 if answered and self._patience().until_answered else self._left_secs()
        if self._may_go_on():
            left = max(left, _LOOK_SECS)
        if left > 0:
            await self._stop(self._ending)
            ending = self._end_after(left)
            self._ending = self.task_manager.create_task(ending, f"{self}::_end_after")
            return
        # Before anything is waited for, or it would be ended twice.
        self._open = False
        await self._stop_tasks()
        speculation = self._speculation
        said = " ".join(self._said)
        self._held = speculation is not None and _MATCH.matches(speculation.text, said)
        if self._held:
            await self.trigger_user_turn_finalized(confirms_speculation=True)
        else:
            await self._withdraw()
            await super().trigger_user_turn_stopped()
        # Still set only if the turn was not ended after all, because the user went on.
        self._held = False

    async def _forget(self) -> None:
        await self._stop_tasks()
        if self._held:
            self._speculation, self._kept = None, True
        await self._withdraw()
        self._said.clear()
        self._complete = self._wants_tool = self._more_coming = False
        self._all_transcribed = False
        self._quiet_since = None

    async def _stop_tasks(self) -> None:
        tasks = [self._foreseeing, self._judging, self._asking, self._ending]
        self._foreseeing = self._judging = self._asking = self._ending = None
        for task in tasks:
            await self._stop(task)

    async def _stop(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and task is not asyncio.current_task():
            await self.task_manager.cancel_task(task)
