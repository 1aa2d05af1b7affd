"""Makes aiortc hand over received audio packets at once, without smoothing their arrival.

aiortc's jitter buffer evens out the arrival of audio for a loudspeaker. It keeps four packets back,
80 ms. It waits 320 ms for a lost packet. From then on it keeps back up to sixteen packets, until
the call ends. Even without the buffer it would hand over a packet only when the next one has
arrived, because a frame of video may consist of several packets. A bot has no loudspeaker, and an
audio packet is complete by itself, so waiting gains nothing.

Opus is decoded right there (`listening.py`).

aiortc 1.16 has no option for this. The module replaces one private field in each audio receiver of
a connection. If the field is missing or has another type, the receiver stays as it is.
"""

from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_gt
from loguru import logger

from sonora_app.runtime.listening import DecodingBuffer, decoding

_FIELD = "_RTCRtpReceiver__jitter_buffer"


class NoBuffer(JitterBuffer):
    """A buffer that holds nothing back. A packet that arrives after a later one is lost."""

    def __init__(self) -> None:
        """Create a buffer that keeps nothing."""
        super().__init__(capacity=1)
        self._newest: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Return a packet, unless a later one came before it. The flag matters only for video."""
        if self._newest is not None and not uint16_gt(packet.sequence_number, self._newest):
            return False, None
        self._newest = packet.sequence_number
        # Codecs of audio put nothing around what they have encoded.
        return False, JitterFrame(data=packet.payload, timestamp=packet.timestamp)


def shorten_jitter_buffers(connection: RTCPeerConnection) -> int:
    """Replace the audio jitter buffers of a connection.

    Args:
        connection: A connection whose offer was taken.

    May be called again.

    Returns:
        How many were replaced. With none the call goes on as aiortc has it, 80 ms slower.
    """
    replaced = 0
    for transceiver in connection.getTransceivers():
        if transceiver.kind != "audio":
            continue
        receiver = transceiver.receiver
        buffer = getattr(receiver, _FIELD, None)
        if type(buffer) in (NoBuffer, DecodingBuffer):
            continue
        if type(buffer) is not JitterBuffer:
            logger.warning("aiortc keeps its jitter buffer elsewhere now; it stays as it is")
            continue
        setattr(receiver, _FIELD, decoding(connection, receiver, NoBuffer()))
        replaced += 1
    return replaced
