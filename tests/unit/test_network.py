"""The bad way that a client can be given: it loses packets, delays them, and keeps their order."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCIceGatherer, RTCIceTransport

from simulators.clients.network import Impairment, Network

pytestmark = pytest.mark.unit

PACKETS = [number.to_bytes(2, "big") for number in range(400)]
JITTER_SECS = 0.05


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[RTCIceTransport, RTCIceTransport]]:
    """Two transports that send to each other."""
    gatherers = RTCIceGatherer([]), RTCIceGatherer([])
    for gatherer in gatherers:
        await gatherer.gather()
    ends = RTCIceTransport(gatherers[0]), RTCIceTransport(gatherers[1])
    for end, other in zip(ends, reversed(gatherers), strict=True):
        for candidate in other.getLocalCandidates():
            await end.addRemoteCandidate(candidate)
        await end.addRemoteCandidate(None)
    await asyncio.gather(
        *(
            end.start(other.getLocalParameters())
            for end, other in zip(ends, reversed(gatherers), strict=True)
        )
    )
    try:
        yield ends
    finally:
        await asyncio.gather(*(end.stop() for end in ends))


async def carried(sender: RTCIceTransport, receiver: RTCIceTransport) -> tuple[list[bytes], float]:
    """Which packets come through, and how long the way of all of them took."""
    started_at = time.monotonic()
    for packet in PACKETS:
        await sender._send(packet)
    got: list[bytes] = []
    while not got or got[-1] != PACKETS[-1]:
        try:
            async with asyncio.timeout(1):
                got.append(await receiver._recv())
        except TimeoutError:
            break
    return got, time.monotonic() - started_at


async def test_packets_are_lost_each_way_and_the_others_stay_in_order() -> None:
    async with connected() as (ours, theirs):
        impairment = Impairment(ours, Network(loss=0.25))
        for sender, receiver in ((ours, theirs), (theirs, ours)):
            got, _ = await carried(sender, receiver)
            assert got == sorted(got)
            assert 0.15 * len(PACKETS) < len(PACKETS) - len(got) < 0.35 * len(PACKETS)
        await impairment.aclose()


async def test_packets_are_late_and_none_is_lost() -> None:
    async with connected() as (ours, theirs):
        impairment = Impairment(ours, Network(jitter_secs=JITTER_SECS))
        for sender, receiver in ((ours, theirs), (theirs, ours)):
            got, secs = await carried(sender, receiver)
            assert got == PACKETS
            # Of so many, one is held back for nearly as long as can be.
            assert secs > 0.9 * JITTER_SECS
        await impairment.aclose()
