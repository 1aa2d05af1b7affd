"""What a client says is decoded where it arrives, and sounds as aiortc decodes it."""

import asyncio
from typing import Any, cast

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame, AudioResampler

from sonora_app.runtime import listening
from sonora_app.runtime.jitter import NoBuffer, shorten_jitter_buffers
from sonora_app.runtime.listening import DecodingBuffer

pytestmark = pytest.mark.unit

OPUS = 111
RATE = 48_000
HEARD_RATE = 16_000
SIZE = RATE // 50


def _speech(secs: float) -> np.ndarray:
    """Something with the pitch and the formants of a voice, and a little noise."""
    times = np.arange(int(secs * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * pitch * times) / pitch for pitch in (140, 280, 700, 2_400))
    swelling = np.sin(2 * np.pi * 2 * times) ** 2
    noise = np.random.default_rng(1).normal(0, 30, len(times))
    return (600_000 * voice * swelling + noise).clip(-30_000, 30_000).astype(np.int16)


def _encoded(samples: np.ndarray) -> list[bytes]:
    """As aiortc's client sends it."""
    encoder, payloads = OpusEncoder(), list[bytes]()
    for number in range(len(samples) // SIZE):
        piece = samples[number * SIZE : (number + 1) * SIZE]
        frame = AudioFrame.from_ndarray(piece[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, number * SIZE
        payloads += encoder.encode(frame)[0]
    return payloads


def _packets(payloads: list[bytes], *, begin: int = 5_000) -> list[RtpPacket]:
    packets: list[RtpPacket] = []
    for number, payload in enumerate(payloads):
        packet = RtpPacket(
            payload_type=OPUS,
            sequence_number=number,
            timestamp=(begin + number * SIZE) % 2**32,
            payload=payload,
        )
        vars(packet)["_data"] = payload  # as aiortc's receiver does for its own buffer
        packets.append(packet)
    return packets


def _buffer(inner: JitterBuffer) -> tuple[DecodingBuffer, "asyncio.Queue[AudioFrame | None]"]:
    sound: asyncio.Queue[AudioFrame | None] = asyncio.Queue()
    return DecodingBuffer(inner, sound, frozenset({OPUS})), sound


def _taken(sound: "asyncio.Queue[AudioFrame | None]") -> list[Any]:
    return [sound.get_nowait() for _ in range(sound.qsize())]


def _as_the_bot_hears(frames: list[Any]) -> np.ndarray:
    """By the resampler of Pipecat's transport."""
    resampler = AudioResampler("s16", "mono", HEARD_RATE)
    pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
    return np.concatenate(pieces).astype(np.float32)


async def test_speech_sounds_as_aiortc_decodes_it() -> None:
    payloads = _encoded(_speech(1.5))
    buffer, sound = _buffer(NoBuffer())
    for packet in _packets(payloads):
        assert buffer.add(packet) == (False, None)
    ours = _taken(sound)
    decoder, theirs = OpusDecoder(), list[Any]()
    for number, payload in enumerate(payloads):
        theirs += decoder.decode(JitterFrame(data=payload, timestamp=number * SIZE))
    assert [frame.pts for frame in ours] == [frame.pts for frame in theirs]
    heard, expected = _as_the_bot_hears(ours), _as_the_bot_hears(theirs)
    assert len(heard) == len(expected) > 1.4 * HEARD_RATE
    loudness = np.sqrt(np.mean(expected**2))
    assert loudness > 1_000
    assert np.sqrt(np.mean((heard - expected) ** 2)) < 0.005 * loudness


async def test_the_times_go_on_where_those_of_rtp_begin_again() -> None:
    buffer, sound = _buffer(NoBuffer())
    for packet in _packets(_encoded(_speech(0.2)), begin=2**32 - 3 * SIZE):
        buffer.add(packet)
    times = [frame.pts for frame in _taken(sound)]
    assert times == [number * SIZE for number in range(len(times))]


async def test_what_the_buffer_keeps_back_is_decoded_later() -> None:
    buffer, sound = _buffer(JitterBuffer(capacity=16, prefetch=4))
    payloads = _encoded(_speech(0.4))
    for packet in _packets(payloads):
        assert buffer.add(packet) == (False, None)
    assert sound.qsize() == len(payloads) - 4


async def test_what_cannot_be_decoded_costs_only_itself() -> None:
    buffer, sound = _buffer(NoBuffer())
    packets = _packets(_encoded(_speech(0.4)))
    packets[5].payload = b"\xff" * 3  # says that it has more frames than bytes
    packets[7].payload = b""
    for packet in packets:
        buffer.add(packet)
    assert len(_taken(sound)) == len(packets) - 2


async def test_another_codec_goes_aiortc_s_way() -> None:
    buffer, sound = _buffer(NoBuffer())
    packet = _packets([b"\x7f" * 160])[0]
    packet.payload_type = 0
    _, frame = buffer.add(packet)
    assert frame is not None
    assert frame.data == b"\x7f" * 160
    assert sound.empty()


async def _talking() -> tuple[RTCPeerConnection, RTCPeerConnection]:
    """A page that sends sound, and a bot that hears it."""
    page, bot = RTCPeerConnection(), RTCPeerConnection()
    page.addTrack(AudioStreamTrack())
    await page.setLocalDescription(await page.createOffer())
    await bot.setRemoteDescription(page.localDescription)
    return page, bot


async def test_a_call_s_sound_comes_without_aiortc_s_thread() -> None:
    page, bot = await _talking()
    assert shorten_jitter_buffers(bot) == 1
    assert shorten_jitter_buffers(bot) == 0
    decoded: list[RtpPacket] = []
    (transceiver,) = bot.getTransceivers()
    # What aiortc's thread would be given goes nowhere: the sound comes all the same.
    vars(transceiver.receiver)["_RTCRtpReceiver__decoder_queue"].put = decoded.append
    await bot.setLocalDescription(await bot.createAnswer())
    await page.setRemoteDescription(bot.localDescription)
    async with asyncio.timeout(30):
        frames = [cast(AudioFrame, await transceiver.receiver.track.recv()) for _ in range(3)]
    assert {frame.layout.name for frame in frames} == {"mono"}
    assert decoded == []
    del vars(transceiver.receiver)["_RTCRtpReceiver__decoder_queue"].put
    await page.close()
    await bot.close()


async def test_another_aiortc_decodes_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_SOUND", "_elsewhere")
    page, bot = await _talking()
    assert shorten_jitter_buffers(bot) == 1
    (transceiver,) = bot.getTransceivers()
    assert type(vars(transceiver.receiver)["_RTCRtpReceiver__jitter_buffer"]) is NoBuffer
    await page.close()
    await bot.close()
