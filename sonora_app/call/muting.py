"""Keeps the user from being heard while the flow says so, and notices when they speak anyway."""

from collections.abc import Callable

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame
from pipecat.turns.user_mute import BaseUserMuteStrategy


class FlowMute(BaseUserMuteStrategy):
    """Mutes the user while the flow does.

    Args:
        is_muted: Whether the flow mutes the user now.
        on_speech: Called when the user starts to speak while muted.
    """

    def __init__(self, is_muted: Callable[[], bool], *, on_speech: Callable[[], None]) -> None:
        """Create a strategy that asks the flow, frame by frame."""
        super().__init__()
        self._is_muted = is_muted
        self._on_speech = on_speech

    async def process_frame(self, frame: Frame) -> bool:
        """Tell whether the user is muted at this frame."""
        muted = self._is_muted()
        if muted and isinstance(frame, VADUserStartedSpeakingFrame):
            self._on_speech()
        return muted
