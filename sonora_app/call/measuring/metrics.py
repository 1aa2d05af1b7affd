"""Counts what a call used, and how long its answers took."""

import time
from dataclasses import dataclass, field, replace
from statistics import median, quantiles

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    LLMFullResponseStartFrame,
    MetricsFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData, TTSUsageMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.observers.user_bot_latency_observer import (
    LatencyBreakdown,
    LatencyOwnerKind,
    MeasuredFrom,
    UserBotLatencyObserver,
)
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.call.measuring.usage import CallUsage
from sonora_app.page.protocol import TurnLatency
from sonora_app.runtime.listeners import Listeners
from sonora_app.storage.records import JsonObject
from sonora_app.vendors.frames import UserPausedFrame, UserResumedFrame, UserSpokeBrieflyFrame


@dataclass
class CallMetrics:
    """What one call used.

    `turns_cut` counts how often a turn of the user's was cut in two (`call/going_on.py`).
    `waits_ms` are the waits for the answers, in milliseconds, as the page and the messages are told
    them: rounded once more from anything else, the call's and a message's could differ by one.
    """

    usage: CallUsage = field(default_factory=CallUsage)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    characters_spoken: int = 0
    early_answers: int = 0
    early_answers_withdrawn: int = 0
    turns_cut: int = 0
    waits_ms: list[float] = field(default_factory=list[float])

    def turn_cut(self, *, answered: bool) -> None:
        """The user's last turn was cut in two: it was taken to be over, and they went on with it.

        Args:
            answered: Whether an answer had begun meanwhile, whose wait was measured. It does not
                count: nobody waited for that answer.
        """
        self.turns_cut += 1
        if answered:
            self.waits_ms.pop()

    def as_json(self) -> JsonObject:
        """What is kept with the session."""
        kept: JsonObject = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "characters_spoken": self.characters_spoken,
            "early_answers": self.early_answers,
            "early_answers_withdrawn": self.early_answers_withdrawn,
            "turns_answered": len(self.waits_ms),
            "turns_cut": self.turns_cut,
        }
        if waits := [round(wait_ms) for wait_ms in self.waits_ms]:
            kept["latency_ms"] = {
                "median": round(median(waits)),
                "p95": round(_percentile_95(waits)),
                "worst": max(waits),
            }
            kept["waits_ms"] = waits
        return kept


def _percentile_95(values: list[int]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


class UsageObserver(BaseObserver):
    """Adds up the usage that the services report."""

    def __init__(self, metrics: CallMetrics) -> None:
        """Count into `metrics`."""
        super().__init__(observe_every_push=False)
        self._metrics = metrics
        self._guessed = False

    async def on_push_frame(self, data: FramePushed) -> None:
        """Count one report, or an answer that is begun, or withdrawn, before its turn is over."""
        if data.direction is FrameDirection.DOWNSTREAM:
            match data.frame:
                case LLMContextFrame() if data.frame.speculation:
                    self._guessed = True
                    self._metrics.early_answers += 1
                case LLMFullResponseStartFrame():
                    self._guessed = False
                    self._metrics.usage.asked += 1
                case EagerEndOfTurnCancelFrame() if self._guessed:
                    # Nothing of such an answer comes out of the model's service. Flux also
                    # withdraws guesses that nobody was asked to answer.
                    self._guessed = False
                    self._metrics.usage.asked += 1
                    self._metrics.early_answers_withdrawn += 1
                case _:
                    pass
        if not isinstance(data.frame, MetricsFrame):
            return
        for report in data.frame.data:
            self._metrics.usage.report(report)
            if isinstance(report, LLMUsageMetricsData):
                self._metrics.prompt_tokens += report.value.prompt_tokens
                self._metrics.completion_tokens += report.value.completion_tokens
            elif isinstance(report, TTSUsageMetricsData):
                self._metrics.characters_spoken += report.value


class WaitObserver(UserBotLatencyObserver):
    """Pipecat's own measure of how long the user waited, counted from where they fell silent.

    Pipecat counts from where Silero found no voice any more, which is some 60 ms later; that is
    made up for where the pause was noticed sooner. So is that Pipecat forgets where the user fell
    silent once the bot is interrupted, which words do that come after the voice; and that it knows
    nothing of a voice that is too short for Silero, and would count from the one before it.

    Args:
        metrics: Collects the waits.

    Attributes:
        answered: Told, as an answer begins to be spoken, how long it took.
        unnoticed_secs: How much later Silero heard the silence that the present wait began with.
    """

    unnoticed_secs = 0.0
    _silent_since = 0.0
    _quiet_at = 0.0
    _turn_over = _answers = False

    def __init__(self, metrics: CallMetrics) -> None:
        """Measure from here on."""
        super().__init__()
        self._metrics = metrics
        self.answered = Listeners[TurnLatency]("an answer")
        self.add_event_handler("on_latency_breakdown", self._measured)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow the user's silence too."""
        match data.frame:
            case UserPausedFrame():
                self._silent_since = time.time() - data.frame.quiet_secs
            case VADUserStartedSpeakingFrame() | UserResumedFrame():
                self._silent_since = 0.0
            case UserSpokeBrieflyFrame():
                await self._brief_voice_ended(data, data.frame.quiet_secs)
            case LLMContextUserTurnFrame():
                self._turn_over = True  # and has words: nothing else is waited for
            case BotStartedSpeakingFrame() if data.direction is FrameDirection.DOWNSTREAM:
                # What is measured is told in a task of its own.
                self._answers, self._turn_over = self._turn_over, False
            case VADUserStoppedSpeakingFrame():
                self._quiet_at = data.frame.timestamp - data.frame.stop_secs
                if self._silent_since:
                    self.unnoticed_secs = max(0.0, self._quiet_at - self._silent_since)
                    self._silent_since = 0.0
            case _:
                pass
        await super().on_push_frame(data)

    async def _brief_voice_ended(self, data: FramePushed, quiet_secs: float) -> None:
        """Have Pipecat count from the end of a voice that Silero does not report."""
        now = time.time()
        self._quiet_at = now - quiet_secs
        self._silent_since = self.unnoticed_secs = 0.0
        ended = VADUserStoppedSpeakingFrame(stop_secs=quiet_secs, timestamp=now)
        for frame in (VADUserStartedSpeakingFrame(), ended):
            await super().on_push_frame(replace(data, frame=frame))

    async def _measured(self, _: object, breakdown: LatencyBreakdown) -> None:
        if not self._answers:
            return  # a sound over the bot's speech is no turn that it answers
        total_secs, parts = breakdown.total_secs, breakdown.contributions
        undivided_secs = 0.0
        if breakdown.measured_from is not MeasuredFrom.USER_SILENCE:
            if breakdown.user_turn_secs is None:
                return
            # Interrupted since the silence: of what came before, only the whole is known.
            total_secs = time.time() - self._quiet_at
            parts = [
                part
                for part in parts
                if part.start_time >= self._quiet_at
                and part.owner_kind is not LatencyOwnerKind.PIPELINE
            ]
            undivided_secs = total_secs - sum(part.duration_secs for part in parts)
        parts_ms = {"turn_detection": undivided_secs * 1000} if undivided_secs else {}
        for part in parts:
            parts_ms[part.key] = parts_ms.get(part.key, 0.0) + part.duration_secs * 1000
        unnoticed = self.unnoticed_secs
        if unnoticed:
            waited_ms = parts_ms.get("endpointing_wait", 0.0)
            parts_ms["endpointing_wait"] = waited_ms + unnoticed * 1000
        total_ms = round((total_secs + unnoticed) * 1000, 1)
        self._metrics.waits_ms.append(total_ms)
        await self.answered.tell(
            TurnLatency(
                total_ms=total_ms,
                parts_ms={name: round(ms, 1) for name, ms in parts_ms.items()},
            )
        )
