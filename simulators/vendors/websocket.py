"""What the vendors that are talked to over a WebSocket have in common."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from simulators.vendors.faults import DRIP_SECS
from simulators.vendors.log import Log
from simulators.vendors.port import ReservedPort


class WebSocketVendor:
    """A server on a free port of loopback.

    Args:
        key: What a client has to show; without it, it is answered 401.

    Attributes:
        refuse_with: The status that every handshake is answered with, or None.
        handshake_secs: How long the answer to a handshake takes.
        drips: Whether handshakes are answered a character at a time, and so never.
        log: `connect` and `refused` (path, query, headers by their
            lower-case names), `gone`, and what the vendor adds.
    """

    paths: ClassVar[tuple[str, ...]] = ()
    """What it serves; anything else is answered 404."""

    def __init__(self, key: str) -> None:
        """Create a vendor that does not serve yet."""
        self.key = key
        self.refuse_with: HTTPStatus | None = None
        self.handshake_secs = 0.0
        self.drips = False
        self.log = Log()
        self.port = 0
        self._reserved: ReservedPort | None = None
        self._server: Server | None = None
        self._open: set[ServerConnection] = set()

    @property
    def url(self) -> str:
        """Where it serves, without a path."""
        return f"ws://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        await self.come_back()
        try:
            yield
        finally:
            await self.go_down()
            self._reserved.release()

    async def go_down(self) -> None:
        """Be gone: what is open breaks off, and who connects is refused."""
        server, self._server = self._server, None
        if server is not None:
            server.close(close_connections=False)
            self.drop()
            await server.wait_closed()

    async def come_back(self) -> None:
        """Serve again after `go_down`, in the same place; or go on."""
        if self._server is not None:
            return
        assert self._reserved is not None
        self._server = await serve(
            self._serve, sock=self._reserved.listen(), process_request=self._admit, close_timeout=1
        )

    def drop(self) -> None:
        """Break every open connection off, as a dead network does: no closing handshake."""
        for connection in self._open:
            connection.transport.abort()

    def shown_key(self, request: Request) -> str:
        """The key that a client shows."""
        raise NotImplementedError

    async def attend(self, connection: ServerConnection) -> None:
        """Serve one connection until it ends."""
        raise NotImplementedError

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        status = self.refuse_with
        if status is None and parts.path not in self.paths:
            status = HTTPStatus.NOT_FOUND
        if status is None and self.shown_key(request) != self.key:
            status = HTTPStatus.UNAUTHORIZED
        self.log.add(
            "connect" if status is None else "refused",
            path=parts.path,
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        answered_at = time.monotonic() + self.handshake_secs
        slowly = iter(b"HTTP/1.1 101 Switching Protocols\r\nX-Slow: " + 1_000 * b"x")
        while self.drips or time.monotonic() < answered_at:
            if connection.transport.is_closing():
                raise ConnectionResetError
            if self.drips:
                connection.transport.write(bytes([next(slowly)]))
            await asyncio.sleep(DRIP_SECS if self.drips else min(DRIP_SECS, self.handshake_secs))
        return None if status is None else Response(status, status.phrase, Headers())

    async def _serve(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        try:
            await self.attend(connection)
        except ConnectionClosed:
            pass
        finally:
            self._open.discard(connection)
            self.log.add("gone")


async def drip(connection: ServerConnection, text: str) -> None:
    """Send a message a character at a time, in as many fragments."""

    async def fragments() -> AsyncGenerator[str]:
        for character in text:
            yield character
            await asyncio.sleep(DRIP_SECS)

    await connection.send(fragments())
