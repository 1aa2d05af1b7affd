#!/usr/bin/env bash
# Opus without packets in silence (DTX) takes the pauses out of what Pipecat hears by WebRTC, and has it
# notice the end of a turn 1.5 s late.
#
# The guess that fails: with DTX, the usual way to save on what a microphone sends, a client leaves out
# the packets of silence, and RTP's timestamps tell how long it was. The receiver fills the gap; or
# else there is nothing to hear, and Pipecat ends the speech of whoever sends nothing for a second
# (`audio_idle_timeout`, for a microphone that is muted in mid-speech).
#
# What happens: aiortc hands on the packets that come, one after the other, and keeps four back. Pipecat
# sets them side by side without a look at their time: 7 s become 3. Silero, which waits for 0.2 s of
# silence, is given that much only in the course of seconds. And since something of the background
# still comes each 0.4 s, nobody counts as muted.
#
# pipecat-ai 1.14.0, aiortc 1.16.0, libopus of PyAV 18.1.0. Output seen (a sentence and 5 s of silence):
#   every packet: 357 sent, 7.1 s of 7.2 s heard, the end of the voice told 0.3 s after it
#   with DTX: 141 sent, 2.7 s of 7.2 s heard, the end of the voice told 1.9 s after it
#
# Chromium does so where the answer's SDP has `usedtx=1` for Opus. Seen, of 2 s of sound and silence: 134
# packets in 9 s, and not 455, of which aiortc made 2.6 s of sound.
#
# What to do: leave `usedtx=1` out of the SDP and DTX off in native clients; or fill up by `frame.pts`
# what a track leaves out.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[webrtc]==1.14.0' 'aiortc==1.16.0' 'av==18.1.0' 'fastapi==0.165.0' 'espeakng-loader==0.2.4'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import ctypes
import sys
from fractions import Fraction
from pathlib import Path

import av
import espeakng_loader
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from loguru import logger

logger.remove()

from pipecat.audio.vad.silero import SileroVADAnalyzer  # noqa: E402
from pipecat.frames.frames import InputAudioRawFrame, VADUserStoppedSpeakingFrame  # noqa: E402
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.worker import PipelineWorker  # noqa: E402
from pipecat.processors.audio.vad_processor import VADProcessor  # noqa: E402
from pipecat.processors.frame_processor import FrameProcessor  # noqa: E402
from pipecat.transports.base_transport import TransportParams  # noqa: E402
from pipecat.transports.smallwebrtc.request_handler import (  # noqa: E402
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402

RATE, SAMPLES, SILENCE_SECS, BOT_HEARS = 48_000, 960, 5, 16_000
OPUS_VOIP, OPUS_SET_DTX = 2048, 4016


def spoken(text: bytes) -> np.ndarray:
    """A text spoken by espeak-ng, at 48 kHz, up to where its last sound ends."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    samples: list[int] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def take(piece: object, count: int, events: object) -> int:
        samples.extend(piece[:count] if piece else [])  # type: ignore[index]
        return 0

    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetSynthCallback(take)
    library.espeak_SetVoiceByName(b"es-419")
    library.espeak_Synth(text, len(text) + 1, 0, 0, 0, 1, None, None)
    library.espeak_Synchronize()
    heard = np.array(samples, np.int16)
    heard = heard[: np.flatnonzero(np.abs(heard) > 300)[-1]]
    times = np.arange(0, len(heard) / rate, 1 / RATE)
    return np.interp(times, np.arange(len(heard)) / rate, heard).astype(np.int16)


def encoded(sound: np.ndarray, dtx: bool) -> list[tuple[int, bytes]]:
    """Its Opus packets of 20 ms, each with its place; with DTX, those that a browser sends."""
    home = Path(av.__file__).parent
    path, *_ = [*home.parent.glob("av.libs/libopus*"), *home.glob(".dylibs/libopus*")]
    opus = ctypes.CDLL(str(path))
    opus.opus_encoder_create.restype = ctypes.c_void_p
    error = ctypes.byref(ctypes.c_int())
    encoder = ctypes.c_void_p(opus.opus_encoder_create(RATE, 1, OPUS_VOIP, error))
    opus.opus_encoder_ctl(encoder, OPUS_SET_DTX, ctypes.c_int(dtx))
    room = ctypes.create_string_buffer(4000)
    sent, was_empty = [], False
    for place in range(len(sound) // SAMPLES):
        piece = np.ascontiguousarray(sound[place * SAMPLES : (place + 1) * SAMPLES])
        size = opus.opus_encode(encoder, ctypes.c_void_p(piece.ctypes.data), SAMPLES, room, 4000)
        # One or two bytes say that nothing is new. Of several such packets only the first is sent.
        is_empty = size <= 2
        if not (is_empty and was_empty):
            sent.append((place, room.raw[:size]))
        was_empty = is_empty
    return sent


class Microphone(MediaStreamTrack):
    """Sends packets at their times, once it may begin."""

    kind = "audio"

    def __init__(self, packets: list[tuple[int, bytes]]) -> None:
        super().__init__()
        self.begin, self.began_at = asyncio.Event(), 0.0
        self._packets = iter(packets)

    async def recv(self) -> av.Packet:
        clock = asyncio.get_running_loop().time
        if not self.began_at:
            await self.begin.wait()
            self.began_at = clock()
        following = next(self._packets, None)
        if following is None:
            await asyncio.Event().wait()
        place, data = following
        await asyncio.sleep(max(0, self.began_at + place * SAMPLES / RATE - clock()))
        packet = av.Packet(data)
        packet.pts, packet.time_base = place * SAMPLES, Fraction(1, RATE)
        return packet


class Ear(FrameProcessor):
    """Counts the sound, and notes when the end of the voice is told."""

    def __init__(self) -> None:
        super().__init__()
        self.samples, self.stops = 0, []

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.samples += len(frame.audio) // 2
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.stops.append(asyncio.get_running_loop().time())
        await self.push_frame(frame, direction)


async def heard(packets: list[tuple[int, bytes]], voice_secs: float) -> tuple[float, float]:
    """How many seconds of sound come, and how long after the voice its end is told."""
    ear, microphone = Ear(), Microphone(packets)
    workers, running = [], []

    async def connected(connection) -> None:
        transport = SmallWebRTCTransport(connection, TransportParams(audio_in_enabled=True))
        silero = VADProcessor(vad_analyzer=SileroVADAnalyzer())
        workers.append(PipelineWorker(Pipeline([transport.input(), silero, ear])))
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(workers[0])
        running.append(asyncio.create_task(runner.run()))

    page = RTCPeerConnection()
    page.addTrack(microphone)
    page.createDataChannel("chat")
    await page.setLocalDescription(await page.createOffer())
    offer = SmallWebRTCRequest(page.localDescription.sdp, page.localDescription.type)
    answer = await SmallWebRTCRequestHandler().handle_web_request(offer, connected)
    await page.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    while page.connectionState != "connected":
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    microphone.begin.set()
    await asyncio.sleep(voice_secs + SILENCE_SECS + 0.5)
    await workers[0].cancel()
    await asyncio.gather(page.close(), *running, return_exceptions=True)
    return ear.samples / BOT_HEARS, ear.stops[-1] - microphone.began_at - voice_secs


async def main() -> None:
    voice = spoken("Quiero una mesa para cuatro personas.".encode())
    sound = np.concatenate([voice, np.zeros(SILENCE_SECS * RATE, np.int16)])
    seen = {}
    for name, dtx in (("every packet", False), ("with DTX", True)):
        packets = encoded(sound, dtx)
        secs, late = seen[dtx] = await heard(packets, len(voice) / RATE)
        print(
            f"{name}: {len(packets)} sent, {secs:.1f} s of {len(sound) / RATE:.1f} s heard, "
            f"the end of the voice told {late:.1f} s after it"
        )
    whole, cut = seen[False], seen[True]
    sys.exit(not (whole[0] > 6.5 and whole[1] < 0.9 and cut[0] < 4 and cut[1] > whole[1] + 0.7))


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do timeout 90 "$work/venv/bin/python" -W ignore "$work/run.py"; done
