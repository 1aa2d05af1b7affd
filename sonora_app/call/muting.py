"""Keeps the user from being heard while the flow says so, and notices when they speak anyway."""

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame
from pipecat.turns.user_mute import BaseUserMuteStrategy


class FlowMute(BaseUserMuteStrategy):
    """Mutes the user while the flow does.

    Event handlers:
        on_muted_speech: The user began to speak while muted.

    Attributes:
        muted: Whether the user is muted now.
    """

    def __init__(self) -> None:
        """Start muted."""
        super().__init__()
        self.muted = True
        self._register_event_handler("on_muted_speech", sync=True)

    async def process_frame(self, frame: Frame) -> bool:
        """Tell whether the user is muted at this frame."""
        if self.muted and isinstance(frame, VADUserStartedSpeakingFrame):
            await self._call_event_handler("on_muted_speech")
        return self.muted
