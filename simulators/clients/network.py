"""A bad way between a client and its bot: packets that are lost, and packets that come late.

It is made at the client, of its own packets and of those it gets, which takes no privileges: a
kernel's own (`tc netem`) is not there everywhere.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCIceTransport


@dataclass(frozen=True)
class Network:
    """How bad a way is, in each direction.

    Parameters:
        loss: The share of the packets that are lost, each by chance.
        jitter_secs: By how much a packet is held back at most, in seconds, each by chance. Packets
            stay in order, as they do in a queue.
        seed: What chance goes by.
    """

    loss: float = 0.0
    jitter_secs: float = 0.0
    seed: int = 1

    def __str__(self) -> str:
        """For a heading."""
        return f"{self.loss:.0%} of the packets lost, {self.jitter_secs * 1000:.0f} ms of jitter"


class Impairment:
    """A network between one client and its bot, from now on.

    Args:
        ice: The client's transport, connected.
        network: What it is to be like.
    """

    def __init__(self, ice: RTCIceTransport, network: Network) -> None:
        """Put it in the way."""
        # aiortc's DTLS sends and receives by these two, and there is no public way between them.
        transport: Any = ice
        self._arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self._away = _Way(transport._send, network, random.Random(network.seed))
        self._back = _Way(self._arrived.put, network, random.Random(network.seed + 1))
        self._receiving = asyncio.create_task(self._receive(transport._recv))
        transport._send = self._away.take
        transport._recv = self._next

    async def aclose(self) -> None:
        """Carry nothing any more."""
        self._receiving.cancel()
        await asyncio.gather(self._receiving, return_exceptions=True)
        await self._away.aclose()
        await self._back.aclose()

    async def _receive(self, receive: Callable[[], Awaitable[bytes]]) -> None:
        try:
            while True:
                await self._back.take(await receive())
        except ConnectionError as error:
            await self._arrived.put(error)

    async def _next(self) -> bytes:
        packet = await self._arrived.get()
        if isinstance(packet, Exception):
            raise packet
        return packet


class _Way:
    """One direction."""

    def __init__(
        self, deliver: Callable[[bytes], Awaitable[None]], network: Network, chance: random.Random
    ) -> None:
        self._deliver = deliver
        self._network = network
        self._chance = chance
        self._packets: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._carrying = asyncio.create_task(self._carry())

    async def take(self, packet: bytes) -> None:
        """Carry a packet, or lose it."""
        if self._chance.random() >= self._network.loss:
            due = time.monotonic() + self._chance.uniform(0, self._network.jitter_secs)
            self._packets.put_nowait((due, packet))

    async def aclose(self) -> None:
        self._carrying.cancel()
        await asyncio.gather(self._carrying, return_exceptions=True)

    async def _carry(self) -> None:
        try:
            while True:
                due, packet = await self._packets.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._deliver(packet)
        except ConnectionError:
            pass  # the client has hung up
