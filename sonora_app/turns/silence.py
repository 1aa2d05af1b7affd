"""Silero's verdicts on digital silence, computed once.

A microphone that is muted, or behind a suppression of noise that closes, sends nothing but zeros
for most of a call. What Silero makes of a window depends on that window and on its state alone, and
Pipecat puts the state back every two seconds of quiet. So the verdicts on the zeros that come after
that, and the states that they lead to, are the same each time, in every call.
"""

import numpy as np
from pipecat.audio.vad.silero import SileroOnnxModel

_MOST = 256
"""How many windows of silence in a row are remembered: four times what Pipecat lets come."""

_remembered: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
"""By the sample rate and the number of silent windows since the state was put back: the verdict on
the next silent one, and the state and the context after it."""


def is_silent(audio: bytes) -> bool:
    """Whether there is nothing but zeros in a piece of audio."""
    return audio == bytes(len(audio))


class RememberingModel(SileroOnnxModel):
    """Silero's model, which does not compute again what follows from silence alone.

    Args:
        model: What is loaded already; its state is not taken over.
    """

    def __init__(self, model: SileroOnnxModel) -> None:
        """Share a model's session, with the state of a new stream."""
        vars(self).update(vars(model))
        self.reset_states()

    def reset_states(self, batch_size: int = 1) -> None:
        """Put the state back."""
        super().reset_states(batch_size)
        # How many windows there were since, or None if one of them was not silent.
        self._silent: int | None = 0

    def __call__(self, x: np.ndarray, sr: int) -> np.ndarray:
        """Tell how surely a window of audio has a voice in it."""
        number = self._silent
        if number is None or number >= _MOST or x.any():
            verdict = super().__call__(x, sr)
            self._silent = None
            return verdict
        if (sr, number) in _remembered:
            verdict, self._state, self._context = _remembered[sr, number]
            self._last_sr, self._last_batch_size = sr, 1
        else:
            verdict = super().__call__(x, sr)
            _remembered[sr, number] = verdict, self._state, self._context
        self._silent = number + 1
        return verdict
