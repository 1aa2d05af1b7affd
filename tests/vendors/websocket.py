"""What the vendors that are talked to over a WebSocket have in common."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.vendors.log import Log


class WebSocketVendor:
    """A server on a free port of loopback.

    Args:
        key: What a client has to show; without it, it is answered 401.

    Attributes:
        refuse_with: The status that every handshake is answered with, or None.
        log: `connect` and `refused` (path, query, headers by their
            lower-case names), `gone`, and what the vendor adds.
    """

    paths: ClassVar[tuple[str, ...]] = ()
    """What it serves; anything else is answered 404."""

    def __init__(self, key: str) -> None:
        """Create a vendor that does not serve yet."""
        self.key = key
        self.refuse_with: HTTPStatus | None = None
        self.log = Log()
        self.port = 0
        self._open: set[ServerConnection] = set()

    @property
    def url(self) -> str:
        """Where it serves, without a path."""
        return f"ws://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        async with serve(
            self._serve, "127.0.0.1", 0, process_request=self._admit, close_timeout=1
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield

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

    async def _admit(self, _: ServerConnection, request: Request) -> Response | None:
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
