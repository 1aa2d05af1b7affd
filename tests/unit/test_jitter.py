"""What a bot receives is handed over at once, also after a loss."""

from collections.abc import Iterator

import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtpPacket

from sonora_app.runtime import jitter
from sonora_app.runtime.jitter import shorten_jitter_buffers

pytestmark = pytest.mark.unit


def _buffer(connection: RTCPeerConnection) -> JitterBuffer:
    (transceiver,) = connection.getTransceivers()
    return vars(transceiver.receiver)["_RTCRtpReceiver__jitter_buffer"]


def _packet(number: int) -> RtpPacket:
    payload = bytes([number % 256])
    # G.711, which is handed over as it came.
    packet = RtpPacket(
        payload_type=0, sequence_number=number, timestamp=number * 960, payload=payload
    )
    vars(packet)["_data"] = payload  # as aiortc's receiver does for its own buffer
    return packet


def _lags(buffer: JitterBuffer, packets: Iterator[int]) -> list[int]:
    """By how many packets each frame comes out later than it went in."""
    lags: list[int] = []
    for number in packets:
        packet = _packet(number)
        _, frame = buffer.add(packet)
        if frame is not None:
            lags.append(number - frame.timestamp // 960)
    return lags


async def _taken_offer() -> RTCPeerConnection:
    page, bot = RTCPeerConnection(), RTCPeerConnection()
    page.addTrack(AudioStreamTrack())
    await page.setLocalDescription(await page.createOffer())
    await bot.setRemoteDescription(page.localDescription)
    await page.close()
    return bot


async def test_frames_come_out_at_once() -> None:
    bot = await _taken_offer()
    before = max(_lags(_buffer(bot), iter(range(40))))
    assert shorten_jitter_buffers(bot) == 1
    after = max(_lags(_buffer(bot), iter(range(40))))
    assert (before, after) == (4, 0)
    await bot.close()


async def test_after_a_loss_they_still_do() -> None:
    bot = await _taken_offer()
    stock = _buffer(bot)
    shorten_jitter_buffers(bot)
    survived = [number for number in range(200) if number != 50]
    assert _lags(stock, iter(survived))[-1] > 8
    assert _lags(_buffer(bot), iter(survived)) == [0] * len(survived)
    await bot.close()


async def test_a_packet_that_was_overtaken_is_left_out() -> None:
    bot = await _taken_offer()
    shorten_jitter_buffers(bot)
    buffer = _buffer(bot)
    frames: list[int] = []
    for number in [0, 1, 3, 2, 4, 4, 6, 7, 5, 8]:
        _, frame = buffer.add(_packet(number))
        if frame is not None:
            frames.append(frame.data[0])
    assert frames == [0, 1, 3, 4, 6, 7, 8]
    await bot.close()


async def test_numbers_begin_again_after_the_last() -> None:
    bot = await _taken_offer()
    shorten_jitter_buffers(bot)
    buffer = _buffer(bot)
    given = [buffer.add(_packet(number % 65_536))[1] for number in range(65_530, 65_540)]
    assert all(given)
    await bot.close()


async def test_another_aiortc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitter, "_FIELD", "_RTCRtpReceiver__moved_elsewhere")
    bot = await _taken_offer()
    stock = _buffer(bot)
    assert shorten_jitter_buffers(bot) == 0
    assert _buffer(bot) is stock
    await bot.close()
