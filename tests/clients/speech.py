"""Speech for a microphone, made with espeak-ng."""

import numpy as np
import soxr

from sonora_app.rehearsal.espeak import load_engine
from tests.clients.webrtc import MIC_RATE


async def speech(text: str, *, voice: str = "es-419") -> np.ndarray:
    """`text` spoken, as 16-bit mono samples at the microphone's rate, without silence around."""
    engine = load_engine()
    pieces = [piece.audio async for piece in engine.speak(text, voice)]
    samples = np.frombuffer(b"".join(pieces), dtype=np.int16)
    loud = np.flatnonzero(np.abs(samples) > 200)
    return soxr.resample(samples[loud[0] : loud[-1] + 1], engine.sample_rate, MIC_RATE)
