"""A connection made anew is set up before its sound comes, and let go of when it is closed."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable

import pytest
from aiortc import RTCPeerConnection
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from sonora_app.runtime.offers import keep_id, set_up_each_time

pytestmark = pytest.mark.unit

Taken = Callable[[SmallWebRTCConnection], Awaitable[None]]


async def offered(
    handler: SmallWebRTCRequestHandler, taken: Taken, pc_id: str | None = None
) -> str:
    """Make an offer as a page does; gives the id in the answer."""
    page = RTCPeerConnection()
    page.addTransceiver("audio")
    page.createDataChannel("chat")
    await page.setLocalDescription(await page.createOffer())
    local = page.localDescription
    answer = await handler.handle_web_request(
        SmallWebRTCRequest(local.sdp, local.type, pc_id, restart_pc=pc_id is not None), taken
    )
    await page.close()
    assert answer is not None
    return answer["pc_id"]


async def test_a_connection_made_anew_is_let_go_of_when_it_is_closed() -> None:
    handler = SmallWebRTCRequestHandler()
    taken: list[SmallWebRTCConnection] = []

    async def take(connection: SmallWebRTCConnection) -> None:
        keep_id(connection)
        taken.append(connection)

    pc_id = await offered(handler, take)
    for _ in range(2):
        assert await offered(handler, take, pc_id) == pc_id
    (connection,) = taken
    assert connection.pc_id == pc_id
    there = weakref.ref(connection)
    await connection.disconnect()
    del connection
    taken.clear()
    # It waits for two seconds after each offer.
    async with asyncio.timeout(30):
        while there() is not None:
            await asyncio.sleep(0.2)
            gc.collect()


async def test_a_connection_is_set_up_with_each_offer_before_the_page_has_the_answer() -> None:
    handler = SmallWebRTCRequestHandler()
    taken: list[SmallWebRTCConnection] = []
    set_up: list[RTCPeerConnection] = []

    async def take(connection: SmallWebRTCConnection) -> None:
        keep_id(connection)
        set_up_each_time(connection, set_up.append)
        taken.append(connection)

    pc_id = await offered(handler, take)
    (connection,) = taken
    assert set_up == [connection.pc]
    await offered(handler, take, pc_id)
    assert set_up[1:] == [connection.pc]
    # What is heard is known by then, and how it is encoded.
    assert all(each.remoteDescription for each in set_up)
    await connection.disconnect()
