"""The two models that listen for turns, loaded once per process: Silero and smart-turn.

Silero tells when the user speaks, smart-turn when a turn is over. Pipecat's analyzers load their
model anew for each call, which takes about 110 ms, and 20 MB that are never given back. Here each
call gets a copy of an analyzer that has its model already. Only what belongs to one stream of audio
is made anew.
"""

import asyncio
import copy
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState
from pipecat.metrics.metrics import MetricsData, TurnMetricsData

A = TypeVar("A", bound=VADAnalyzer | BaseSmartTurn)


STOP_SECS = 0.16
"""Silence after which Silero reports the end of speech, in seconds: five of its windows of 32 ms,
one less than Pipecat's default. No turn ends before that."""

VERDICT_SECS = 0.3
"""The silence by which smart-turn has judged, in seconds: twice what it takes. On a machine that is
busy it takes longer."""

_STALE_SECS = 0.5
"""How long without audio, as when a microphone is muted, before a state means nothing any more."""


_SILENCE_SECS = 0.2
"""The silence after which smart-turn was trained to judge, in seconds."""


class Silero(SileroVADAnalyzer):
    """Silero, which also reports what it hears between the start and the end of speech.

    Attributes:
        quiet_secs: How long it has heard no voice, in seconds.
    """

    quiet_secs: float = 0.0
    _state: VADState = VADState.QUIET
    _heard_at: float = 0.0

    @property
    def state(self) -> VADState:
        """What it made of the audio so far."""
        stale = time.monotonic() - self._heard_at > _STALE_SECS
        return VADState.QUIET if stale else self._state

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Analyze audio, and remember the state it leads to.

        Runs on the event loop. Pipecat uses a thread, but a window takes a quarter of a
        millisecond, and the way to a thread and back takes three times as much processor time.
        """
        self._heard_at = time.monotonic()
        self._state = self._run_analyzer(buffer)
        return self._state

    def voice_confidence(self, buffer: bytes) -> float:
        """Return how probably a window of audio has a voice in it, and count quiet windows."""
        confidence = super().voice_confidence(buffer)
        if confidence >= self.params.confidence:
            self.quiet_secs = 0.0
        else:
            self.quiet_secs += self.num_frames_required() / self.sample_rate
        return confidence


class SmartTurn(LocalSmartTurnAnalyzerV3):
    """Smart-turn, which can also be asked in a pause, before Silero reports the end of speech.

    Attributes:
        found_complete: Whether the turn sounded complete when it was asked last at the end of
            speech.
        probability: How probably the turn was over when it was asked last in a pause.
    """

    found_complete: bool = False
    probability: float = 0.0
    _foreseen: asyncio.Future[tuple[EndOfTurnState, MetricsData | None]] | None = None

    def __init__(self) -> None:
        """Load the model."""
        super().__init__()
        parts = vars(self)
        parts["_session"] = _LeanSession(parts["_session"])

    async def foresee(
        self, quiet_secs: float, *, by_secs: float | None = None
    ) -> EndOfTurnState | None:
        """Tell whether the turn sounds complete, if this is the end of it.

        Smart-turn was trained on turns that end in 200 ms of silence, so silence is added up to
        that length. The audio is kept, because the user may go on.

        Args:
            quiet_secs: How long the user has been silent, in seconds.
            by_secs: How long they may be silent until it tells; None: as long as it takes.

        Returns:
            What it sounds like; None where that takes longer. The judgement goes on, and is there
            for `analyze_end_of_turn`.
        """
        missing = np.zeros(max(0, int((_SILENCE_SECS - quiet_secs) * self.sample_rate)), np.int16)
        heard: list[Any] = [*self._audio_buffer, (time.monotonic(), missing)]
        judge: Any = self._process_speech_segment  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        self._foreseen = asyncio.get_running_loop().run_in_executor(None, judge, heard)
        left_secs = None if by_secs is None else max(0.0, by_secs - quiet_secs)
        try:
            async with asyncio.timeout(left_secs):
                state, metrics = await asyncio.shield(self._foreseen)
        except TimeoutError:
            return None
        if isinstance(metrics, TurnMetricsData):
            self.probability = metrics.probability
        return state

    def went_on(self) -> None:
        """Forget what was foreseen: the user has not stopped."""
        self._foreseen = None

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, MetricsData | None]:
        """Tell whether the turn sounds complete; asks again only if it did not in the pause."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None:
            state, metrics = await asyncio.shield(foreseen)
            if state is EndOfTurnState.COMPLETE:
                self.clear()
                self.found_complete = True
                return state, metrics
        state, metrics = await super().analyze_end_of_turn()
        self.found_complete = state is EndOfTurnState.COMPLETE
        return state, metrics


class _LeanSession:
    """A loaded model that gives back the memory of each run.

    ONNX Runtime keeps the memory of a run for the next run, 28 MB for smart-turn. Allocating it
    anew takes some 2 ms of the 45 ms of a run.

    Args:
        session: The loaded model.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session: Any = session
        self._options: Any = onnxruntime.RunOptions()
        self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        # The calls of a process share the model. Two runs at once would leave no processor to the
        # sound where there are two.
        self._one_at_a_time = threading.Lock()

    def run(self, outputs: list[str] | None, inputs: dict[str, Any]) -> Sequence[Any]:
        """Run the model, as `InferenceSession.run` does."""
        with self._one_at_a_time:
            return self._session.run(outputs, inputs, self._options)


def build_silero() -> Silero:
    """A voice detector for one call."""

    def start(analyzer: VADAnalyzer) -> None:
        VADAnalyzer.__init__(analyzer, params=VADParams(stop_secs=STOP_SECS))

    analyzer = _fresh(_silero(), start)
    parts = vars(analyzer)
    parts["_model"] = copy.copy(parts["_model"])
    parts["_model"].reset_states()
    return analyzer


def build_smart_turn(*, stop_secs: float) -> SmartTurn:
    """An end-of-turn detector for one call.

    Args:
        stop_secs: Silence after which a turn is over that does not sound complete, in seconds,
            counted from where Silero reports the end of speech.
    """

    def start(analyzer: BaseSmartTurn) -> None:
        BaseSmartTurn.__init__(analyzer, params=SmartTurnParams(stop_secs=stop_secs))

    return _fresh(_smart_turn(), start)


def _fresh(analyzer: A, start: Callable[[A], None]) -> A:
    """A copy that shares the model, with the state of a new stream."""
    fresh = copy.copy(analyzer)
    start(fresh)
    return fresh


@cache
def _silero() -> Silero:
    return Silero()


@cache
def _smart_turn() -> SmartTurn:
    return SmartTurn()
