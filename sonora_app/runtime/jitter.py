"""Has aiortc hand over what it receives at once, rather than smoothly.

aiortc's jitter buffer evens out the arrival of audio for a loudspeaker: it keeps four packets
back, 80 ms, and after a loss, which it waits 320 ms for, as many as sixteen for the rest of the
call. Even without that it would hand a packet over only when the next one is there, since a frame
of video may have several. Nobody listens to what a bot receives, and a packet of audio is whole by
itself, so nothing is gained by waiting. aiortc has no option for it (1.16); what is changed here is
one private field of one connection, which is left alone if it is not what it was when this was
written.
"""

from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_gt
from loguru import logger

_FIELD = "_RTCRtpReceiver__jitter_buffer"


class NoBuffer(JitterBuffer):
    """Gives each packet as it comes; one that was overtaken by another is lost."""

    def __init__(self) -> None:
        """Create a buffer that keeps nothing."""
        super().__init__(capacity=1)
        self._newest: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet, and give it unless a later one was given; the flag is of use to video."""
        if self._newest is not None and not uint16_gt(packet.sequence_number, self._newest):
            return False, None
        self._newest = packet.sequence_number
        # Codecs of audio put nothing around what they have encoded.
        return False, JitterFrame(data=packet.payload, timestamp=packet.timestamp)


def shorten_jitter_buffers(connection: RTCPeerConnection) -> int:
    """Replace the audio jitter buffers of a connection.

    Args:
        connection: A connection whose offer was taken.

    Returns:
        How many were replaced. With none the call goes on as aiortc has it, 80 ms slower.
    """
    replaced = 0
    for transceiver in connection.getTransceivers():
        if transceiver.kind != "audio":
            continue
        receiver = transceiver.receiver
        if type(getattr(receiver, _FIELD, None)) is not JitterBuffer:
            logger.warning("aiortc keeps its jitter buffer elsewhere now; it stays as it is")
            continue
        setattr(receiver, _FIELD, NoBuffer())
        replaced += 1
    return replaced
