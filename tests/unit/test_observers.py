"""The observers of a call do not depend on each other."""

import pytest
from loguru import logger
from pipecat.frames.frames import BotStartedSpeakingFrame, TextFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi import RTVIProcessor

from sonora_app.page.observers import Observers

pytestmark = pytest.mark.unit

SECRET = "abracadabra"


class Failing(BaseObserver):
    async def on_push_frame(self, data: FramePushed) -> None:
        raise ValueError(SECRET)


class Noting(BaseObserver):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[type] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        self.seen.append(type(data.frame))


async def test_one_that_fails_does_not_end_the_others() -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="INFO")
    last = Noting()
    observers = Observers(RTVIProcessor(), Failing(), last)
    for frame in (TextFrame(SECRET), BotStartedSpeakingFrame()):
        await observers.on_push_frame(
            FramePushed(
                source=IdentityFilter(),
                destination=IdentityFilter(),
                frame=frame,
                direction=FrameDirection.DOWNSTREAM,
                timestamp=0,
                first_push=True,
            )
        )
    logger.remove(sink)
    assert last.seen == [TextFrame, BotStartedSpeakingFrame]
    assert sum("An observer failed: ValueError" in line for line in lines) == 2
    assert SECRET not in "".join(lines)
