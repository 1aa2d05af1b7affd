"""Decodes what a client says where it arrives, on the event loop.

aiortc decodes the packets of each call on a thread of the call's own, as stereo. A packet takes
50 µs to decode. To wake the thread, and the event loop after it, takes several times that: both
want Python's lock, and with several calls each waits for the others. So a packet is decoded at
once, as the one channel that a bot listens to.
"""

import asyncio
import re
from fractions import Fraction
from typing import Any, cast

from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket
from av import AudioFrame, CodecContext, Packet
from av.error import FFmpegError
from loguru import logger

_RATE = 48_000
"""At which Opus is decoded, and of its times in RTP, in Hz."""

_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000", re.MULTILINE | re.IGNORECASE)

_SOUND = "_queue"
"""Where aiortc's thread leaves what it has decoded, in the track that a receiver fills."""


class DecodingBuffer(JitterBuffer):
    """A jitter buffer that decodes what it would hand over to aiortc's thread.

    Args:
        buffer: Which packets are heard, and when.
        sound: Where to put the sound.
        payload_types: By which Opus is told from other codecs, which take aiortc's way.
    """

    def __init__(
        self,
        buffer: JitterBuffer,
        sound: "asyncio.Queue[AudioFrame | None]",
        payload_types: frozenset[int],
    ) -> None:
        """Create a buffer that has decoded nothing yet."""
        super().__init__(capacity=1)
        self._buffer = buffer
        self._sound = sound
        self._payload_types = payload_types
        self._times = TimestampMapper()
        self._codec: Any = CodecContext.create("libopus", "r")
        self._codec.format, self._codec.layout = "s16", "mono"
        self._codec.sample_rate = _RATE

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet, and decode what is to be heard now."""
        wants_keyframe, encoded = self._buffer.add(packet)
        if encoded is None or packet.payload_type not in self._payload_types:
            return wants_keyframe, encoded
        if encoded.data:
            self._decode(encoded)
        return wants_keyframe, None

    def _decode(self, encoded: JitterFrame) -> None:
        packet = Packet(encoded.data)
        packet.pts, packet.time_base = self._times.map(encoded.timestamp), Fraction(1, _RATE)
        try:
            frames: list[AudioFrame] = self._codec.decode(packet)
        except FFmpegError as error:
            logger.warning(f"A packet of sound cannot be decoded: {type(error).__name__}")
            return
        for frame in frames:
            self._sound.put_nowait(frame)


def decoding(
    connection: RTCPeerConnection, receiver: RTCRtpReceiver, buffer: JitterBuffer
) -> JitterBuffer:
    """What decodes on the loop what `buffer` hands over.

    Args:
        connection: One whose offer was taken.
        receiver: One of its receivers of audio.
        buffer: The receiver's jitter buffer.

    Returns:
        The buffer to use. It is `buffer` itself where the client does not send Opus, or where
        aiortc keeps its sound elsewhere than in 1.16.
    """
    sound: Any = vars(receiver.track).get(_SOUND)
    described = connection.remoteDescription
    payload_types = frozenset(map(int, _OPUS.findall(described.sdp if described else "")))
    if not payload_types or not isinstance(sound, asyncio.Queue):
        return buffer
    decoded = cast(asyncio.Queue[AudioFrame | None], sound)
    return DecodingBuffer(buffer, decoded, payload_types)
