"""The voice arrives as it was said, with silence sent from memory."""

import asyncio
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from av import AudioFrame
from pipecat.transports.smallwebrtc.transport import RawAudioTrack

from sonora_app.runtime import opus
from sonora_app.runtime.opus import PACKET_SECS, OpusTrack, encode_voice

pytestmark = pytest.mark.unit

RATE = 24_000
SIZE = int(PACKET_SECS * RATE)
HEARD_RATE = 48_000


class _Source(MediaStreamTrack):
    """Gives samples a packet at a time, as fast as they are taken."""

    kind = "audio"

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__()
        self._samples = samples
        self._given = 0

    async def recv(self) -> AudioFrame:
        piece = self._samples[self._given : self._given + SIZE]
        if len(piece) < SIZE:
            raise MediaStreamError
        frame = AudioFrame.from_ndarray(piece[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._given
        self._given += SIZE
        return frame


def _tone(secs: float) -> np.ndarray:
    times = np.arange(int(secs * RATE)) / RATE
    return (8_000 * np.sin(2 * np.pi * 300 * times)).astype(np.int16)


def _silence(secs: float) -> np.ndarray:
    return np.zeros(int(secs * RATE), np.int16)


async def _payloads(samples: np.ndarray) -> list[bytes]:
    track = OpusTrack(_Source(samples), RATE)
    payloads: list[bytes] = []
    try:
        while True:
            packet = await track.recv()
            assert packet.pts == len(payloads) * SIZE
            payloads.append(bytes(packet))
    except MediaStreamError:
        return payloads


def _heard(payloads: list[bytes]) -> np.ndarray:
    """As a client of aiortc's hears it: one channel of stereo, at 48 kHz."""
    decoder = OpusDecoder()
    frames: list[Any] = []
    for number, payload in enumerate(payloads):
        frames += decoder.decode(JitterFrame(data=payload, timestamp=number * 960))
    return np.concatenate([frame.to_ndarray()[0, ::2] for frame in frames]).astype(np.float32)


def _loudness(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))


async def test_a_voice_after_silence_is_what_it_is_without_the_shortcut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = np.concatenate([_tone(0.5), _silence(3), _tone(0.5)])
    heard = _heard(await _payloads(samples))
    monkeypatch.setattr(opus, "_SETTLED", 1_000)
    encoded = _heard(await _payloads(samples))
    assert len(heard) == len(encoded) == 4 * HEARD_RATE
    again = slice(int(3.5 * HEARD_RATE), None)
    assert _loudness(heard[again]) > 4_000
    assert _loudness(heard - encoded) < 0.01 * _loudness(encoded)


async def test_silence_is_silent_and_takes_three_bytes() -> None:
    payloads = await _payloads(np.concatenate([_tone(0.2), _silence(1)]))
    assert {len(payload) for payload in payloads[-40:]} == {3}
    assert _loudness(_heard(payloads)[-HEARD_RATE // 2 :]) == 0


async def _calling() -> tuple[RTCPeerConnection, RawAudioTrack]:
    """A bot that has answered an offer, with the track that Pipecat sends."""
    page, bot = RTCPeerConnection(), RTCPeerConnection()
    page.addTrack(AudioStreamTrack())
    await page.setLocalDescription(await page.createOffer())
    await bot.setRemoteDescription(page.localDescription)
    await page.close()
    track = RawAudioTrack(sample_rate=RATE)
    (transceiver,) = bot.getTransceivers()
    transceiver.sender.replaceTrack(track)
    return bot, track


async def test_pipecat_s_track_is_encoded() -> None:
    bot, track = await _calling()
    assert encode_voice(bot)
    (transceiver,) = bot.getTransceivers()
    sent = cast(OpusTrack, transceiver.sender.track)
    written = track.add_audio_bytes(_tone(0.2).tobytes())
    payloads = [bytes(await sent.recv()) for _ in range(20)]
    async with asyncio.timeout(0):
        await written  # what makes Pipecat write on
    assert _loudness(_heard(payloads)[: HEARD_RATE // 5]) > 4_000
    sent.stop()
    assert track.readyState == "ended"
    await bot.close()


async def test_what_is_encoded_already_stays_as_it_is() -> None:
    bot, _ = await _calling()
    assert encode_voice(bot)
    (transceiver,) = bot.getTransceivers()
    sent = transceiver.sender.track
    assert encode_voice(bot)
    assert transceiver.sender.track is sent
    await bot.close()


async def test_sound_that_waits_in_shorter_pieces_is_joined() -> None:
    bot, track = await _calling()
    track.add_audio_bytes(_tone(0.2).tobytes())  # before it is asked for 20 ms at a time
    assert encode_voice(bot)
    (transceiver,) = bot.getTransceivers()
    sent = cast(OpusTrack, transceiver.sender.track)
    payloads = [bytes(await sent.recv()) for _ in range(10)]
    assert _loudness(_heard(payloads)) > 4_000
    await bot.close()


async def test_another_pipecat_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_FIELDS", ("_samples_per_piece", "_bytes_per_piece"))
    bot, track = await _calling()
    assert not encode_voice(bot)
    (transceiver,) = bot.getTransceivers()
    assert transceiver.sender.track is track
    await bot.close()
