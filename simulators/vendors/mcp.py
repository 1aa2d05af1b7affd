"""A hotel's MCP server, on loopback: the SDK's own server, over streamable HTTP or stdio.

Its tools answer in every way that a tool can: lists, nothing, pictures, words with a picture,
errors. It counts what it was made to do, and what it was told to know a call by.
"""

import asyncio
import threading
import time
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.utilities.types import Image

from simulators.vendors.port import ReservedPort

PICTURE = b"\x89PNG\r\n\x1a\n"
_START_SECS = 30.0


class Hotel:
    """What the server does, and what was done with it.

    Attributes:
        booked: The rooms that were booked, in order.
        keys: The idempotency keys of those calls.
        slow_secs: How long the next bookings take, the last of them first.
    """

    def __init__(self) -> None:
        self.booked: list[int] = []
        self.keys: list[Any] = []
        self.slow_secs: list[float] = []

    def tools(self) -> MCPServer[Any]:
        server: MCPServer[Any] = MCPServer("hotel", instructions="A hotel.")

        @server.tool()
        async def book(room: int, context: Context[Any, Any], secs: float = 0) -> str:
            """Book a room."""
            self.booked.append(room)
            meta: Any = context.request_context.meta
            self.keys.append((dict(meta) if meta else {}).get("sonora/idempotency-key"))
            await asyncio.sleep(secs or (self.slow_secs.pop() if self.slow_secs else 0))
            return f"Room {room} is booked."

        @server.tool()
        def rooms() -> list[dict[str, Any]]:
            """The free rooms."""
            return [{"room": 7, "beds": 2}, {"room": 9, "beds": 1}]

        @server.tool()
        def names() -> list[str]:
            """The names of the rooms."""
            return ["Sol", "Luna"]

        @server.tool()
        def guests() -> list[str]:
            """Who is there."""
            return []

        @server.tool()
        def free() -> int:
            """How many rooms are free."""
            return 0

        @server.tool(structured_output=False)
        def quiet() -> None:
            """Says nothing."""

        @server.tool(structured_output=False)
        def view() -> list[Any]:
            """What the room looks like."""
            return ["The sea.", Image(data=PICTURE, format="png")]

        @server.tool()
        def cancel(room: int) -> str:
            """Cancel a booking."""
            raise ToolError(f"Room {room} is not booked.")

        @server.tool()
        def long() -> str:
            """Tells much."""
            return "mucho " * 5_000

        return server


class McpServerThread:
    """The server in a thread of its own, which can be cut off and started anew at its port.

    Args:
        hotel: What it does.
        sessions: Whether it is of the kind that knows its clients by a session (before 2026), and
            forgets them when it is started anew.
    """

    def __init__(self, hotel: Hotel, *, sessions: bool = False) -> None:
        self.hotel = hotel
        self._sessions = sessions
        self._port = ReservedPort()
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port.number}/mcp"

    def start(self) -> None:
        app: Any = self.hotel.tools().streamable_http_app()
        if self._sessions:
            app = _without_discovery(app)
        self._server = server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        listening = self._port.listen()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await server.serve(sockets=[listening])

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self._thread.start()
        until = time.monotonic() + _START_SECS
        while not server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise RuntimeError("The MCP server does not start.")
            time.sleep(0.01)

    def stop(self) -> None:
        """Cut it off, whatever it is doing. Safe to call twice."""
        if self._server and self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._cut, self._server)
            self._thread.join(10)
        self._server = self._loop = self._thread = None

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._port.release()

    @staticmethod
    def _cut(server: uvicorn.Server) -> None:
        for connection in server.server_state.connections:
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        server.force_exit = server.should_exit = True


def _without_discovery(app: Any) -> Any:
    """As a server of before 2026, which knows no `server/discover`: clients open a session."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = b""
            messages: list[Any] = []
            while True:
                message = await receive()
                messages.append(message)
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            if b'"server/discover"' in body:
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return

            async def again() -> Any:
                return messages.pop(0) if messages else await receive()

            await app(scope, again, send)
        else:
            await app(scope, receive, send)

    return serve


if __name__ == "__main__":
    Hotel().tools().run("stdio")
