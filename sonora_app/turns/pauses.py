"""Notices that the user pauses, before it counts as the end of their speech.

Silero reports the end of speech after `stop_secs` of silence. A pause is the first part of that:
long enough not to be the closure of a consonant, and reported without waiting for the rest.
"""

from dataclasses import dataclass

from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import Frame, InputAudioRawFrame, SystemFrame
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.turns.models import Silero

PAUSE_SECS = 0.06
"""Silence that counts as a pause, in seconds: two of Silero's windows of 32 ms."""


@dataclass
class UserPausedFrame(SystemFrame):
    """The user has fallen silent, maybe for a moment only.

    Parameters:
        quiet_secs: For how long already, in seconds.
    """

    quiet_secs: float = 0.0


@dataclass
class UserResumedFrame(SystemFrame):
    """The user went on before the pause counted as the end of their speech."""


class PauseNoticingVADProcessor(VADProcessor):
    """Pipecat's voice activity processor, which also reports pauses.

    Args:
        silero: Hears the user.
    """

    def __init__(self, silero: Silero) -> None:
        """Create the processor."""
        super().__init__(vad_analyzer=silero)
        self._silero = silero
        self._paused = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, and report a pause that begins or ends with it."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            return
        silero = self._silero
        match silero.state:
            case VADState.STOPPING if not self._paused and silero.quiet_secs >= PAUSE_SECS:
                self._paused = True
                await self.push_frame(UserPausedFrame(quiet_secs=silero.quiet_secs))
            case VADState.SPEAKING if self._paused:
                self._paused = False
                await self.push_frame(UserResumedFrame())
            case VADState.QUIET:
                self._paused = False
            case _:
                pass
