"""Mutes the user while the flow asks for it, and notices when the user speaks anyway."""

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame
from pipecat.turns.user_mute import BaseUserMuteStrategy

from sonora_app.runtime.listeners import Listeners


class FlowMute(BaseUserMuteStrategy):
    """Mutes the user while the flow does.

    Attributes:
        muted: Whether the user is muted now.
        spoken_while_muted: Told when the user begins to speak while muted.
    """

    def __init__(self) -> None:
        """Start muted."""
        super().__init__()
        self.muted = True
        self.spoken_while_muted = Listeners[()]("speech while muted")

    async def process_frame(self, frame: Frame) -> bool:
        """Tell whether the user is muted at this frame."""
        if self.muted and isinstance(frame, VADUserStartedSpeakingFrame):
            await self.spoken_while_muted.tell()
        return self.muted
