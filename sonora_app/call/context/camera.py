"""Looks through the person's camera, when they have switched it on.

The page has the camera, and gives a frame when it is asked for one. So nothing of it is sent that
is not looked at, no video is received and decoded, and it is the same over every transport.
"""

import asyncio
from typing import Any
from uuid import UUID

from sonora_app.call.context.showing import Showing
from sonora_app.files.attachment import Attachment
from sonora_app.page.file_messages import FrameWanted
from sonora_app.page.rtvi import Entry, ScreenedRTVIProcessor
from sonora_app.storage.records import uuid7

_FRAME_SECS = 5.0
"""How long the page may take to give a frame: a slow uplink sends 100 kB in 3 s."""


class Camera:
    """The camera of the person in one call.

    Args:
        page: What is asked for a frame.
        showing: Shows it to the model.

    Attributes:
        on: Whether the person has switched it on.
    """

    def __init__(self, page: ScreenedRTVIProcessor, showing: Showing) -> None:
        """Have it switched off."""
        self.on = False
        self._page = page
        self._showing = showing
        self._wanted: dict[UUID, asyncio.Future[Attachment]] = {}

    def switch(self, on: bool) -> None:
        """The person switched it on or off."""
        self.on = on
        if not on:
            for frame in self._wanted.values():
                frame.cancel()

    def wants(self, id: UUID) -> bool:
        """Whether a frame that was asked for is still waited for."""
        return id in self._wanted

    def came(self, id: UUID, frame: Attachment) -> None:
        """The page gave the frame that it was asked for."""
        wanted = self._wanted.get(id)
        if wanted is not None and not wanted.done():
            wanted.set_result(frame)

    async def look(self) -> dict[str, Any]:
        """Have the newest frame shown to the model, and kept with the turn.

        Returns:
            What the model is told: a mark of the picture, or why there is none.
        """
        if not self.on:
            return {"status": "camera_off"}
        id, frame = uuid7(), asyncio.get_running_loop().create_future()
        self._wanted[id] = frame
        try:
            await self._page.tell(FrameWanted(id=id))
            seen: Attachment = await asyncio.wait_for(frame, _FRAME_SECS)
        except TimeoutError:
            return {"status": "no_picture"}
        except asyncio.CancelledError:
            if self.on:
                raise  # the call of the function itself was withdrawn
            return {"status": "camera_off"}
        finally:
            del self._wanted[id]
        self._showing.attachments.hold(seen)
        mark = self._showing.add(seen)
        await self._page.entered.tell(Entry("", files=(seen.id,)))
        return {"status": "looked", "picture": mark}
