"""Encodes the bot's voice as it is (mono, at its own rate), and encodes silence only once.

aiortc turns any audio into stereo at 48 kHz, in pieces of 10 ms, and encodes each piece on a thread
of a pool. With two threads and the way there and back, that is a fifth of the processor time of a
call, most of it for silence. An Opus packet states its own number of channels and its bandwidth, so
every client plays these packets as it plays aiortc's.

aiortc sends packets that a track delivers already encoded. So the audio track that Pipecat makes is
read here, encoded, and replaced by a track of packets. It is left alone when its private fields are
not what they were in Pipecat 1.14.

The packets are sent by a clock that nobody sets. Pipecat's track keeps time by the machine's, so
that after a step back it is silent for as long as the step, and after a step forward it sends as
much silence at once.
"""

import math
from fractions import Fraction
from typing import Any, cast

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection
from av import AudioFrame, CodecContext, Packet
from loguru import logger
from pipecat.transports.smallwebrtc.transport import RawAudioTrack

from sonora_app.runtime.pace import Pace

PACKET_SECS = 0.02
"""How much audio a packet holds: what aiortc, and every browser, puts in one."""

_BIT_RATE = 64_000
"""Bits per second; above it, libopus models no voice and takes half the time."""

_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""What Opus takes, in Hz."""

_SETTLED = 3
"""After this many packets of silence, every further packet of silence is the same."""

_FIELDS = ("_samples_per_10ms", "_bytes_per_10ms")

_BEGAN = "_start"
"""When Pipecat's track began, by the machine's clock. It waits for what comes later than now."""


class OpusTrack(MediaStreamTrack):
    """Pipecat's outgoing audio, encoded.

    Args:
        source: Gives 16-bit mono frames of `PACKET_SECS`, or of parts of it.
        sample_rate: Their rate, in Hz.
        pace: When a packet is due; None where `source` gives its frames in time.
    """

    kind = "audio"

    def __init__(
        self, source: MediaStreamTrack, sample_rate: int, pace: Pace | None = None
    ) -> None:
        """Create a track that has read nothing yet."""
        super().__init__()
        self._source = source
        self._pace = pace
        self._time_base = Fraction(1, sample_rate)
        self._codec: Any = CodecContext.create("libopus", "w")
        self._codec.bit_rate = _BIT_RATE
        self._codec.format, self._codec.layout = "s16", "mono"
        self._codec.sample_rate, self._codec.time_base = sample_rate, self._time_base
        self._codec.options = {"application": "voip"}
        self._packet_samples = int(sample_rate * PACKET_SECS)
        self._silent = 0
        self._payload = b""

    async def recv(self) -> "Packet[Any]":
        """The next packet, when it is due."""
        if self._pace is not None:
            await self._pace.wait(PACKET_SECS)
        frame = await self._frame()
        self._silent = 0 if frame.to_ndarray().any() else self._silent + 1
        if self._silent <= _SETTLED:
            # As many samples as a packet holds: one comes of each frame.
            (encoded,) = self._codec.encode(frame)
            self._payload = bytes(encoded)
        packet = Packet(self._payload)
        packet.pts, packet.time_base = frame.pts, self._time_base
        return packet

    async def _frame(self) -> AudioFrame:
        """As much audio as a packet holds. What was queued in shorter pieces is joined."""
        first = frame = cast(AudioFrame, await self._source.recv())
        pieces: list[Any] = [frame.to_ndarray()]
        samples = frame.samples
        while samples < self._packet_samples:
            frame = cast(AudioFrame, await self._source.recv())
            pieces.append(frame.to_ndarray())
            samples += frame.samples
        if len(pieces) == 1:
            return first
        joined = AudioFrame.from_ndarray(np.concatenate(pieces, axis=1), "s16", "mono")
        joined.sample_rate, joined.pts, joined.time_base = (
            first.sample_rate,
            first.pts,
            self._time_base,
        )
        return joined

    def stop(self) -> None:
        """End, and what is read with it."""
        self._source.stop()
        super().stop()


def encode_voice(connection: RTCPeerConnection) -> bool:
    """Send what a connection sends as audio in packets of `OpusTrack`.

    Args:
        connection: A connection whose audio Pipecat has set.

    Returns:
        Whether it is so now. If not, the call goes on as aiortc has it.
    """
    for transceiver in connection.getTransceivers():
        track = transceiver.sender.track
        if isinstance(track, OpusTrack):
            # Pipecat may tell more than once that the client is there.
            return True
        if transceiver.kind != "audio" or type(track) is not RawAudioTrack:
            continue
        parts = vars(track)
        samples, size = (parts.get(name, 0) for name in _FIELDS)
        rate = 100 * samples
        if rate not in _RATES or size != 2 * samples or _BEGAN not in parts:
            break
        parts.update((name, 2 * parts[name]) for name in _FIELDS)
        # So long ago that everything is due.
        parts[_BEGAN] = -math.inf
        transceiver.sender.replaceTrack(OpusTrack(track, rate, Pace()))
        return True
    logger.warning("Pipecat makes its outgoing audio otherwise now; aiortc encodes it")
    return False
