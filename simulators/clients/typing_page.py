"""A page that types and reads: RTVI over the eval WebSocket, without sound either way."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from simulators.clients.rtvi import RtviClient


class TypingPage(RtviClient):
    """A page whose user types, and is answered in text.

    Args:
        socket: The connection to the bot.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__()
        self._socket = socket
        self._unsent: asyncio.Queue[str] = asyncio.Queue()

    def send_raw(self, message: Any) -> None:
        self._unsent.put_nowait(json.dumps(message))

    async def send_all(self) -> None:
        """Send what there is to send, in order, until cancelled."""
        while True:
            await self._socket.send_str(await self._unsent.get())

    async def receive(self) -> None:
        """Take in what the bot sends until the connection is over."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.received(message.data)
        self.closed.set()


@asynccontextmanager
async def typing_page(url: str) -> AsyncGenerator[TypingPage]:
    """A page that is connected to the bot at `url`, in text mode.

    Args:
        url: The bot's address, `http://host:port`.
    """
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url.replace('http', 'ws', 1)}/ws") as socket,
    ):
        page = TypingPage(socket)
        tasks = [asyncio.create_task(page.send_all()), asyncio.create_task(page.receive())]
        connect = {"t": "eval-connect", "d": {"skip_tts": True}}
        page.send("client-message", connect, message_id="eval-connect")
        try:
            yield page
        finally:
            await socket.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
