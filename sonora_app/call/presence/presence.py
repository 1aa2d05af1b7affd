"""Whether anybody is at the other end of a call, by what arrives from there.

WebRTC notices that a network is gone after half a minute. Pipecat takes a client for gone whose
data channel has been silent for three seconds, and from then on drops the bot's sound without
telling anybody. So what counts here is any packet that arrives: sound, of which a browser sends 50
packets a second even when the microphone is silent, a message, or a report that the bot's sound is
received.

- A word of the bot's counts as heard when a packet arrives within `MISSED_SECS` of the one before.
  Words that were said into a longer gap are not kept (`heard.py`).
- After `GONE_SECS` without a packet nobody is there. The bot is cut off; it asks nobody whether
  they are still there, and nothing that it says is kept.
- When packets arrive again the bot says that it is still there. If none do, the connection ends
  after half a minute, and the call with it, as one whose client has left.
- A data channel that is closed while sound arrives changes nothing: the call goes on by voice.

Silence is counted in steps of `_TICK_SECS` that the event loop really made. Packets that waited
while the process stalled are read before the silence is long enough to matter.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame

from sonora_app.runtime.backlog import Backlog
from sonora_app.runtime.listeners import Listeners

if TYPE_CHECKING:
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection, SmallWebRTCTrack

GONE_SECS = 3.0
"""After so long without a packet nobody is there."""

MISSED_SECS = 1.5
"""What the bot says into a gap of this length between two packets was missed. A page without a
microphone sends a packet each second."""

_TICK_SECS = 0.1
_DOUBTFUL_SECS = {True: 0.3, False: 1.2}
"""How long a client that sends sound, or none, may be silent before its next packet decides whether
what the bot says meanwhile is heard."""

_CONNECTED = "connected"
_RTP_RATE = 48_000
"""Of the times of Opus in RTP, in Hz, at whatever rate it is heard (RFC 7587)."""


class Presence:
    """Whether the client of one call is there.

    Args:
        connection: The connection of SmallWebRTC; None for another transport, whose client counts
            as there until it leaves.

    Attributes:
        connection: The connection.
        there: Whether somebody is there.
        lost: Told when nobody is there any more.
        back: Told when somebody is there again by the same connection.
        arrived: Told that a packet arrived after a doubtful silence, and whether what was said
            into it was heard.
        on_sound: Told each piece of the client's sound, as it arrives; None: nobody is.
        on_played: Told each piece of the bot's, as it is played; None: nobody is.
        dropped: Told how many seconds of the client's sound were not listened to, being too old.
    """

    def __init__(self, connection: "SmallWebRTCConnection | None") -> None:
        """Take the client for there, until it was connected and then fell silent."""
        self.there = True
        self.lost = Listeners[()]("a client that is gone")
        self.back = Listeners[()]("a client that is back")
        self.arrived = Listeners[bool]("a client that is heard from")
        self.dropped = Listeners[float]("sound that is too old")
        self.on_sound: Callable[[InputAudioRawFrame], None] | None = None
        self.on_played: Callable[[OutputAudioRawFrame], None] | None = None
        self.connection = connection
        self._pipecats: Any = connection and connection.is_connected
        self._connected = False
        self._silent_secs = 0.0
        self._sends_sound = False
        self._packets: dict[str, int] = {}
        self._backlog = Backlog()

    @property
    def doubtful(self) -> bool:
        """Whether it is open if what is being said now is heard."""
        return self._silent_secs > _DOUBTFUL_SECS[self._sends_sound]

    @property
    def missing(self) -> bool:
        """Whether nothing has come for so long that what is being said now is not heard."""
        return self._silent_secs >= MISSED_SECS

    def connected(self) -> None:
        """The client has connected, for the first time or anew. It is there."""
        self._connected = self.there = True
        self._backlog.restart()
        self._silent_secs = 0.0
        if self.connection is not None:
            # Pipecat's own takes a client for gone whose data channel is, or when the clock is set.
            self.connection.is_connected = self._is_connected

    async def sound_came(self, frame: InputAudioRawFrame) -> bool:
        """A piece of the client's sound has arrived.

        Returns:
            Whether it is to be listened to. Where the process cannot keep up, old sound is not.
        """
        self._sends_sound = True
        if self.on_sound is not None:
            self.on_sound(frame)
        if self._silent_secs:
            await self._came()
        if frame.pts is None or self.connection is None:
            return True
        already = self._backlog.dropping
        dropped_secs = self._backlog.read(frame.pts / _RTP_RATE)
        if dropped_secs is None and not already:
            track = cast("SmallWebRTCTrack | None", self.connection.audio_input_track())
            if track is not None:
                await track.discard_old_frames()
        elif dropped_secs:
            logger.warning(f"{dropped_secs:.1f} s of the user's sound were dropped: read too late")
            await self.dropped.tell(dropped_secs)
        return dropped_secs is not None

    async def run(self) -> None:
        """Watch what arrives, until cancelled."""
        while self.connection is not None:
            await asyncio.sleep(_TICK_SECS)
            self._backlog.tick()
            if not self._connected:
                continue
            if self._silent_secs >= _DOUBTFUL_SECS[True] and await self._packet_came():
                self._sends_sound = self._sends_sound and self._silent_secs < MISSED_SECS
                await self._came()
            self._silent_secs += _TICK_SECS
            if self._silent_secs >= GONE_SECS and self.there:
                self.there = False
                # Anybody who closes a page leaves so: nothing that whoever runs the bot could mend.
                logger.info(f"Nothing has come from the client for {GONE_SECS:g} s")
                await self.lost.tell()

    async def _came(self) -> None:
        silent_secs, self._silent_secs = self._silent_secs, 0.0
        if not self.there:
            self.there = True
            logger.info("The client is heard from again")
            await self.arrived.tell(False)
            await self.back.tell()
        elif silent_secs > _DOUBTFUL_SECS[True]:
            await self.arrived.tell(silent_secs < MISSED_SECS)

    async def _packet_came(self) -> bool:
        """Whether any packet has arrived since this was asked last."""
        assert self.connection is not None  # noqa: S101  # run() ends without one
        stats = cast("dict[str, Any]", await self.connection.pc.getStats())
        packets = {name: of.packetsReceived for name, of in stats.items() if of.type == "transport"}
        came, self._packets = packets != self._packets, packets
        return came

    def _is_connected(self) -> bool:
        assert self.connection is not None  # noqa: S101  # replaced only where there is one
        if self.there and self.connection.pc.connectionState == _CONNECTED:
            return True
        # It may have been told by a message that is being read just now.
        return self._pipecats()
