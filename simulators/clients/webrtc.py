"""A headless page: real WebRTC with aiortc, RTVI over its data channel, audio both ways.

It plays 16-bit mono PCM as the microphone, silence when there is none, and keeps what it hears.
"""

import asyncio
import fractions
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCIceTransport, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from simulators.clients.network import Impairment, Network
from simulators.clients.rtvi import HANGS_SECS, RtviClient
from sonora_app.runtime.jitter import shorten_jitter_buffers
from sonora_app.runtime.opus import OpusTrack

if TYPE_CHECKING:
    from simulators.clients.loudspeaker import Loudspeaker

MIC_RATE = 48_000
FRAME_SECS = 0.02
LOUD = 300.0
"""Root mean square, of 16-bit samples, above which a frame counts as sound."""


class Microphone(MediaStreamTrack):
    """Plays what `say` is given, in real time.

    Args:
        noise: How loud the room is, as the root mean square of 16-bit samples; 0 is a microphone
            that is muted, which sends nothing but zeros.
        room: What else is heard of it, as 48 kHz mono samples that are played around and around.
        loudspeaker: What plays the bot's voice into the room; None: nothing of it is heard there.

    Attributes:
        began_at: When the first frame of what was said last was sent, in monotonic seconds.
        ended_at: When its last frame was sent.
    """

    kind = "audio"

    def __init__(
        self,
        noise: float = 0.0,
        room: np.ndarray | None = None,
        loudspeaker: "Loudspeaker | None" = None,
    ) -> None:
        super().__init__()
        self._noise = noise
        self._room = room
        self._loudspeaker = loudspeaker
        self._chance = np.random.default_rng(1)
        self._pcm = np.zeros(0, dtype=np.int16)
        self._played = 0
        self._started: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._speaking = False
        self.began_at = self.ended_at = 0.0

    def say(self, pcm: np.ndarray) -> None:
        """Play 48 kHz mono samples after what is already waiting."""
        self._pcm = np.concatenate([self._pcm, pcm.astype(np.int16)])
        self._idle.clear()

    @property
    def idle(self) -> bool:
        """Whether everything was played."""
        return self._idle.is_set()

    async def said(self) -> None:
        """Wait until everything was played."""
        await self._idle.wait()

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        samples = int(MIC_RATE * FRAME_SECS)
        self._started = self._started or time.monotonic()
        await asyncio.sleep(max(0.0, self._started + self._played / MIC_RATE - time.monotonic()))
        if len(self._pcm):
            self.ended_at = time.monotonic()
            if not self._speaking:
                self.began_at = self.ended_at
        self._speaking = len(self._pcm) > 0
        chunk, self._pcm = self._pcm[:samples], self._pcm[samples:]
        if len(self._pcm) == 0:
            self._idle.set()
        chunk = np.pad(chunk, (0, samples - len(chunk)))
        if self._noise:
            white = self._chance.normal(0, self._noise, samples)
            chunk = np.clip(chunk + white, -32_768, 32_767).astype(np.int16)
        if self._room is not None:
            room = np.take(self._room, np.arange(self._played, self._played + samples), mode="wrap")
            chunk = np.clip(chunk + room, -32_768, 32_767).astype(np.int16)
        if self._loudspeaker is not None:
            back = self._loudspeaker.take(samples)
            chunk = np.clip(chunk + back, -32_768, 32_767).astype(np.int16)
        frame = AudioFrame.from_ndarray(chunk.reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate = self._played, MIC_RATE
        frame.time_base = fractions.Fraction(1, MIC_RATE)
        self._played += samples
        return frame


class _Unplugged:
    """A socket without a network."""

    def sendto(self, *_: Any) -> None:
        """Lose a packet."""

    def close(self) -> None:
        """There is nothing to close."""


class Page(RtviClient):
    """One connection to a bot. Made by `connect`.

    Args:
        noise: How loud the room is, see `Microphone`.
        room: What else is heard of it.
        loudspeaker: What plays the bot's voice into it.
    """

    def __init__(
        self,
        noise: float = 0.0,
        room: np.ndarray | None = None,
        loudspeaker: "Loudspeaker | None" = None,
    ) -> None:
        super().__init__()
        self.microphone = Microphone(noise, room, loudspeaker)
        self._loudspeaker = loudspeaker
        self._lost: list[RTCPeerConnection] = []
        self._offer_url = self._pc_id = ""
        self._listening: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._impairment: Impairment | None = None
        self._sockets: dict[Any, Any] = {}
        self._prepare()

    def _prepare(self) -> None:
        self._pc = RTCPeerConnection()
        self._channel = self._pc.createDataChannel("chat")
        self._open = asyncio.Event()
        self._pc.addTransceiver(self.microphone, "sendrecv")
        self._channel.on("open", self._open.set)
        self._channel.on("message", self.received)
        self._pc.on("track", self._track)
        self._pc.on("connectionstatechange", self._state_changed)

    # --- Sending

    def send_raw(self, message: Any) -> None:
        """Send any JSON."""
        self._channel.send(json.dumps(message))

    # --- Connection

    async def connect(
        self,
        url: str,
        *,
        body: dict[str, Any] | None = None,
        network: Network | None = None,
        offer: dict[str, Any] | None = None,
    ) -> None:
        """Connect through the dev runner's `/start`, as the JavaScript client does.

        Args:
            url: The dev runner's.
            body: What the start request carries.
            network: The way to the bot once connected; None: as it is.
            offer: What the offer says besides the description, to be sent without a start
                request first.
        """
        self._offer_url = f"{url}/api/offer"
        if offer is None:
            async with (
                aiohttp.ClientSession() as http,
                http.post(
                    f"{url}/start", json={"transport": "webrtc", "body": body or {}}
                ) as response,
            ):
                session_id = (await response.json())["sessionId"]
            self._offer_url = f"{url}/sessions/{session_id}/api/offer"
        await self._offer(offer or {})
        if network is not None:
            self._impairment = Impairment(self._ice, network)
        self._pinging = asyncio.create_task(self._ping())

    async def reconnect(self) -> None:
        """Lose the connection, and connect anew to the same call, as the JavaScript client does."""
        # aiortc stops the track of a connection that it cannot send by any more.
        self._pc.getTransceivers()[0].sender.replaceTrack(None)
        self.vanish()
        self._lost.append(self._pc)
        self._prepare()
        await self._offer({"pc_id": self._pc_id, "restart_pc": True})
        self._pinging = asyncio.create_task(self._ping())

    async def _offer(self, more: dict[str, Any]) -> None:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        local = self._pc.localDescription
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                self._offer_url, json={"sdp": local.sdp, "type": local.type, **more}
            ) as response,
        ):
            answer = await response.json()
        self._pc_id = answer["pc_id"]
        await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(HANGS_SECS):
            await self._open.wait()

    async def hang_up(self) -> None:
        """Leave, as a closed tab does."""
        self.restore()
        for task in (self._pinging, self._listening):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self.microphone.stop()
        for connection in (self._pc, *self._lost):
            await connection.close()
        if self._impairment is not None:
            await self._impairment.aclose()
        self.closed.set()

    def save_processor_time(self) -> None:
        """Encode and decode sound as the bot does, without aiortc's threads.

        For measurements with many callers on the machine of the bot, where they must not take the
        processor time that they would not take from afar. Not for a page that connects anew.
        """
        sender = self._pc.getTransceivers()[0].sender
        sender.replaceTrack(OpusTrack(self.microphone, MIC_RATE))
        shorten_jitter_buffers(self._pc)

    async def delivered(self) -> None:
        """Wait until the bot's side has taken all messages that were sent."""
        # aiortc has no public way to know what of its queues was confirmed.
        sctp: Any = self._pc.sctp
        async with asyncio.timeout(HANGS_SECS):
            while self._channel.bufferedAmount or sctp._outbound_queue or sctp._sent_queue:
                await asyncio.sleep(0.01)

    def close_channel(self) -> None:
        """Close the way of the messages, while sound comes and goes as before."""
        if self._pinging is not None:
            self._pinging.cancel()
        self._channel.close()

    def cut_off(self) -> None:
        """Lose the network: nothing arrives at either side until `restore`."""
        # aioice has no public way between its protocol and the socket.
        for protocol in self._ice._connection._protocols:
            protocol.transport, self._sockets[protocol] = _Unplugged(), protocol.transport
            protocol.datagram_received = lambda *_: None

    def restore(self) -> None:
        """Have the network back, as it was."""
        for protocol, socket in self._sockets.items():
            protocol.transport = socket
            del protocol.datagram_received
        self._sockets.clear()

    def vanish(self) -> None:
        """Be gone without a word, as a killed browser is. `hang_up` still tidies up here."""
        for task in (self._pinging, self._listening):
            if task is not None:
                task.cancel()
        # aioice has no public way to stop without telling the other side.
        for protocol in self._ice._connection._protocols:
            protocol.transport.close()

    @property
    def _ice(self) -> RTCIceTransport:
        """By which all goes, the sound and the messages."""
        return self._pc.getTransceivers()[0].sender.transport.transport

    async def _ping(self) -> None:
        # The bot takes a client that stops pinging for one that is gone.
        while True:
            self._channel.send(f"ping: {time.time()}")
            await asyncio.sleep(1)

    def _track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            samples = frame.to_ndarray().astype(np.float32)
            if self._loudspeaker is not None:
                sides = len(frame.layout.channels)
                self._loudspeaker.play(samples.reshape(-1, sides).mean(axis=1))
            if float(np.sqrt(np.mean(samples**2))) > LOUD:
                self.heard(time.monotonic())

    def _state_changed(self) -> None:
        if self._pc.connectionState in ("failed", "closed", "disconnected"):
            self.closed.set()


@asynccontextmanager
async def page(
    url: str,
    *,
    body: dict[str, Any] | None = None,
    network: Network | None = None,
    noise: float = 0.0,
    room: np.ndarray | None = None,
    loudspeaker: "Loudspeaker | None" = None,
    offer: dict[str, Any] | None = None,
) -> AsyncGenerator[Page]:
    """A connected page, that hangs up in the end. See `Page` and `Page.connect`."""
    connection = Page(noise, room, loudspeaker)
    try:
        await connection.connect(url, body=body, network=network, offer=offer)
        yield connection
    finally:
        await connection.hang_up()
