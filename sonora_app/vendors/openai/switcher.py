"""The switcher between a model and its fallback."""

from pipecat.frames.frames import Frame, LLMUpdateSettingsFrame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.processors.frame_processor import FrameDirection

from sonora_app.vendors.failover import FailoverAtOnce


class InformedLLMSwitcher(LLMSwitcher[FailoverAtOnce]):
    """Pipecat's switcher, in which the fallback is told what the flow tells the model."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Have a change of settings, such as the role in the flow, reach every model."""
        if isinstance(frame, LLMUpdateSettingsFrame):
            frame.reach_inactive_services = True
        await super().process_frame(frame, direction)
