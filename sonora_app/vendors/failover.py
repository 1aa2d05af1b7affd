"""When a call changes to its fallback: a Pipecat switcher that changes at the first lost answer.

Pipecat's own failover strategy ignores errors from which a service can recover. In a call, each of
these errors is an answer or a sentence that nobody hears.
"""

from pipecat.frames.frames import ErrorFrame, ManuallySwitchServiceFrame
from pipecat.pipeline.service_switcher import ServiceSwitcherStrategyFailover
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

SPEECH_LOST = "speech was lost, in whole or in part"
"""The text of the error of a voice that broke off. It differs from the errors of the connection."""


class FailoverAtOnce(ServiceSwitcherStrategyFailover):
    """Changes to the next service, in the given order and around, at any error of a vendor."""

    async def handle_error(self, error: ErrorFrame) -> FrameProcessor | None:
        """Change to the next service that is usable.

        Args:
            error: An error of the active service's.

        Returns:
            The service that is active now, or None if there is no other.
        """
        if error.category is ErrorCategory.APPLICATION:
            return None
        return await self.change_to_next()

    async def change_to_next(self) -> FrameProcessor | None:
        """Change to the next service that is usable.

        Returns:
            The service that is active now, or None if there is no other.
        """
        at = self.services.index(self.active_service)
        for candidate in (*self.services[at + 1 :], *self.services[:at]):
            if candidate.is_usable:
                return await self.change_to(candidate)
        return None

    async def change_to(self, service: FrameProcessor) -> FrameProcessor | None:
        """Change to a service.

        Returns:
            The service, or None if it is not usable.
        """
        switch = ManuallySwitchServiceFrame(service=service)
        return await self.handle_frame(switch, FrameDirection.DOWNSTREAM)
