"""What Silero remembers of silence is what it would have computed."""

from typing import Any

import numpy as np
import pytest
import soxr  # pyright: ignore[reportMissingTypeStubs]
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

from sonora_app.turns.models import build_silero
from tests.clients.speech import speech
from tests.clients.webrtc import MIC_RATE

pytestmark = pytest.mark.unit

RATE = 16_000
CHUNK = RATE // 50


async def _call() -> list[bytes]:
    """A call in pieces: speech, much silence, and noise that is too soft to be speech."""
    said = soxr.resample(await speech("Quiero viajar a Oaxaca"), MIC_RATE, RATE)
    noise = np.random.default_rng(1).normal(0, 30, RATE)
    parts = [0.7, said, 5.3, said, 0.45, said, 2.6, noise, 9.0, said, 3.0]
    samples = np.concatenate(
        [np.zeros(int(part * RATE)) if isinstance(part, float) else part for part in parts]
    ).astype(np.int16)
    return [samples[at : at + CHUNK].tobytes() for at in range(0, len(samples), CHUNK)]


async def _verdicts(
    analyzer: SileroVADAnalyzer, pieces: list[bytes]
) -> list[tuple[VADState, float, float]]:
    """The state after each piece, with the last confidence and the volume behind it."""
    confidences: list[float] = [0.0]
    confidence_of = analyzer.voice_confidence

    def noted(buffer: bytes) -> Any:  # Pipecat's own
        confidence = confidence_of(buffer)
        confidences.append(float(np.asarray(confidence).item()))
        return confidence

    vars(analyzer)["voice_confidence"] = noted
    analyzer.set_sample_rate(RATE)
    verdicts: list[tuple[VADState, float, float]] = []
    for piece in pieces:
        state = await analyzer.analyze_audio(piece)
        verdicts.append((state, confidences[-1], vars(analyzer)["_prev_volume"]))
    await analyzer.cleanup()
    return verdicts


async def test_every_verdict_of_a_call_is_silero_s_own() -> None:
    pieces = await _call()
    own = await _verdicts(SileroVADAnalyzer(params=build_silero().params), pieces)
    assert {state for state, _, _ in own} == set(VADState)
    # The second of the calls finds all of the silence remembered.
    for _ in range(2):
        assert await _verdicts(build_silero(), pieces) == own


async def test_silence_that_is_known_is_not_computed_again() -> None:
    silence = [bytes(2 * CHUNK)] * 500
    await _verdicts(build_silero(), silence)
    silero = build_silero()
    model = vars(silero)["_model"]
    model.session = None  # computing anything would fail, and count as no voice
    verdicts = await _verdicts(silero, silence)
    assert verdicts[-1][1] > 0
