"""A page whose network is gone for a while, or that connects anew within one call.

Pipecat's browser client connects anew by itself once it notices that its connection is lost.

After a reconnection Pipecat sends to a new track. A task that still waits for the old track would
wait until Pipecat declares the transport unusable. So this module reads the rest of the old track
and discards it.

The same goes for a page that closes its connection while the bot still says something, or plays the
silence at the end of a call.

The bot's speech counts as interrupted when the connection is lost, or when nothing has come from
the client for a while (`presence/presence.py`). When the page is back, the bot says that it is
still there.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from loguru import logger
from pipecat.transports.base_transport import BaseTransport

from sonora_app.call.call import Call
from sonora_app.errors import ErrorCode
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

_PLAYED_OUT_SECS = 0.5
"""How long the old track is played out: longer than what Pipecat hands over at once (40 ms)."""

_END_PLAYED_OUT_SECS = 1.5
"""The same after a page has left: the silence at the end is handed over at once, a second of it."""

_UNHEARD_SECS = 0.1


class Reconnections:
    """Sees to a page that is lost and comes back, by the same connection or by another.

    Args:
        call: The call.
        transport: What the call comes in by.
    """

    def __init__(self, call: Call, transport: BaseTransport) -> None:
        """Follow the connection from here on. Another transport than SmallWebRTC reconnects
        by itself."""
        self._call = call
        self._connection = connection = call.presence.connection
        self._track: MediaStreamTrack | None = None
        self._lost = False
        if connection is not None:
            connection.add_event_handler("disconnected", self._connection_lost)
            connection.add_event_handler("closed", self._connection_closed)
            transport.add_event_handler("on_client_connected", self._connected)
            call.presence.lost.add(call.page.interrupt_bot)
            call.presence.back.add(self._still_here)
            call.presence.dropped.add(self._not_listened_to)

    async def _connected(self, *_: object) -> None:
        if self._connection is None:
            return
        self._track = self._connection.pc.getTransceivers()[0].sender.track
        self._call.presence.connected()
        if self._lost:
            self._lost = False
            logger.info("The page has connected anew")
            await self._still_here()

    async def _still_here(self) -> None:
        call = self._call
        if call.driver.talking or call.driver.node == "greeting":
            await call.say(call.lines.text("still_here"))

    async def _not_listened_to(self, secs: float) -> None:
        said = worded(
            "The last {secs} s of your speech came too late to be heard. If you said something, "
            "please say it again.",
            secs=f"{secs:.0f}",
        )
        await self._call.page.notify(ErrorCode.SPEECH_DROPPED, said)

    async def _connection_lost(self, _: object) -> None:
        self._lost = True
        track, self._track = self._track, None
        # First, so that nothing more of it counts as heard.
        await self._call.page.interrupt_bot()
        if track is not None:
            await self._play_out(track, _PLAYED_OUT_SECS)

    async def _connection_closed(self, _: object) -> None:
        track, self._track = self._track, None
        if track is not None:
            await self._play_out(track, _END_PLAYED_OUT_SECS)

    async def _play_out(self, track: "MediaStreamTrack", secs: float) -> None:
        until = asyncio.get_running_loop().time() + secs
        with contextlib.suppress(TimeoutError):
            while asyncio.get_running_loop().time() < until:
                async with asyncio.timeout(_UNHEARD_SECS):
                    await track.recv()
