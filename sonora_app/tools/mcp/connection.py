"""The connection to one MCP server, and the calls of its tools.

It uses the protocol's own client (`mcp`), not Pipecat's around it. Pipecat's gives the model one
string for every answer: the entries of a list stand in it without anything between them, an empty
list and a picture read as a failure, and an error of the tool as its success. Whether a call was
executed cannot be learned from that string either.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loguru import logger

from sonora_app.tools.mcp.answers import outcome_of
from sonora_app.tools.mcp.faults import McpUnavailableError, kind_of, never_connected
from sonora_app.tools.mcp.servers import McpServer, filled, offered_name
from sonora_app.tools.tool import Outcome, OutcomeStatus, Tool

if TYPE_CHECKING:
    from mcp import Client

CONNECT_SECS = 5.0
"""How long a server may take to answer when the connection is opened."""
_PAGES = 20
"""How many pages of a server's list of tools are read."""

KEY = "sonora/idempotency-key"
"""Where in the `_meta` of a call its idempotency key stands."""

# JSON-RPC: what a server answers to a request that it did not carry out.
_REQUEST_INVALID = -32600
_NOT_CARRIED_OUT = frozenset({-32700, _REQUEST_INVALID, -32601, -32602})

_UNREACHABLE = Outcome(OutcomeStatus.REFUSED, "It was not done: its server cannot be reached now.")
_UNKNOWN = Outcome(
    OutcomeStatus.UNKNOWN,
    "The connection was lost. It is not known whether it was done. Do not say that it was.",
)
_LATE = Outcome(
    OutcomeStatus.UNKNOWN,
    "No answer came in time. It is not known whether it was done. Do not say that it was.",
)
_UNREADABLE = Outcome(OutcomeStatus.DONE, "It was done, but the answer cannot be read.")


class McpConnection:
    """A `ToolRunner` for the tools of one server. It connects when it has to, and again.

    Args:
        server: The server.
        setting: Gives the value of a setting that the declaration names.

    Attributes:
        server: The server.
        tools: What is offered of it, as it was when it was last connected.
        missing: Those of the declared tools that it does not have.
    """

    def __init__(self, server: McpServer, setting: Callable[[str], str]) -> None:
        """Nothing is connected yet."""
        self.server = server
        self.tools: tuple[Tool, ...] = ()
        self.missing: tuple[str, ...] = ()
        self._setting = setting
        self._names: dict[str, str] = {}
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._opening = asyncio.Lock()
        self._under_way = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None

    async def connect(self) -> None:
        """Open the connection and read what tools there are, unless it is open.

        Raises:
            McpUnavailableError: It cannot be opened.
        """
        await self._opened()

    async def run(self, tool: Tool, arguments: Mapping[str, Any], *, key: str) -> Outcome:
        """See `ToolRunner.run`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(tool.time_limit_secs):
                outcome = await self._run(tool, dict(arguments), key)
        except TimeoutError:
            outcome = _LATE
        return replace(outcome, duration_secs=time.monotonic() - began)

    async def aclose(self) -> None:
        """Close the connection. Safe to call twice."""
        async with self._opening:
            await self._drop()

    async def _run(self, tool: Tool, arguments: dict[str, Any], key: str) -> Outcome:
        name = self._names.get(tool.name, tool.name)
        # Again only where the first attempt never got there, or where doing it again does no harm.
        unknown: Outcome | None = None
        for last in (False, True):
            try:
                client = await self._opened()
            except McpUnavailableError as error:
                logger.warning(f"The tool {tool.name} cannot be reached: {error}")
                break
            outcome = await self._attempt(client, name, arguments, key, tool.max_chars)
            if outcome is not None:
                if outcome.status is not OutcomeStatus.UNKNOWN or not tool.repeatable or last:
                    return outcome
                unknown = outcome
            logger.info(f"The MCP server {self.server.name} was lost")
        return unknown or _UNREACHABLE

    async def _attempt(
        self, client: "Client", name: str, arguments: dict[str, Any], key: str, max_chars: int
    ) -> Outcome | None:
        """What came of a call; None where it certainly did not get there."""
        from mcp.shared.exceptions import MCPError
        from mcp.types import CONNECTION_CLOSED

        self._under_way += 1
        alone = self._under_way == 1
        try:
            result = await client.call_tool(name, arguments, meta={KEY: key})
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                cause = await self._lost(client)
                return None if alone and never_connected(cause) else _UNKNOWN
            if error.code == _REQUEST_INVALID:
                # A server that was started anew does not know the session, and did nothing.
                await self._lost(client)
                return None
            if error.code in _NOT_CARRIED_OUT:
                return Outcome(OutcomeStatus.FAILED, "It was not done: the server refused it.")
            return _UNKNOWN
        except Exception as error:  # noqa: BLE001  # of the library: the answer is of another shape
            logger.warning(f"The answer of {name} cannot be read ({type(error).__name__})")
            return _UNREADABLE
        finally:
            self._under_way -= 1
        return outcome_of(result, max_chars)

    async def _lost(self, client: "Client") -> BaseException | None:
        """Let go of a connection that is lost. Gives why it was, if that is known."""
        async with self._opening:
            if self._client is not client and self._client is not None:
                return None  # Another call has connected anew.
            return await self._drop()

    # The client has to be entered and left by one task.

    async def _opened(self) -> "Client":
        async with self._opening:
            if self._client is not None:
                return self._client
            await self._drop()
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._closing = asyncio.Event()
            self._owner = asyncio.create_task(
                self._own(ready, self._closing), name=f"sonora-mcp-{self.server.name}"
            )
            try:
                async with asyncio.timeout(CONNECT_SECS):
                    client = await asyncio.shield(ready)
                    await self._read_tools(client)
            except TimeoutError:
                await self._drop()
                raise McpUnavailableError(f"no answer within {CONNECT_SECS:g} s") from None
            except McpUnavailableError:
                await self._drop()
                raise
            except Exception as error:  # noqa: BLE001  # of the library
                await self._drop()
                raise McpUnavailableError(kind_of(error)) from None
            except BaseException:
                await self._drop()
                raise
            self._client = client
            return client

    async def _own(self, ready: "asyncio.Future[Client]", closing: asyncio.Event) -> None:
        try:
            async with self._connecting() as client:
                try:
                    ready.set_result(client)
                    await closing.wait()
                finally:
                    if self._client is client:
                        self._client = None
        except BaseException as error:
            if not ready.done():
                ready.set_exception(McpUnavailableError(kind_of(error)))
                # Whoever waited may have gone.
                ready.exception()
                return
            raise

    async def _drop(self) -> BaseException | None:
        """Close what is open, within a second. Gives what it had failed with."""
        owner, self._owner, self._client = self._owner, None, None
        if owner is None:
            return None
        self._closing.set()
        done, _ = await asyncio.wait({owner}, timeout=1)
        if not done:
            owner.cancel()
            await asyncio.wait({owner}, timeout=1)
            return None
        return None if owner.cancelled() else owner.exception()

    @asynccontextmanager
    async def _connecting(self) -> "AsyncGenerator[Client]":
        # Loaded off the loop, which it would hold for a second.
        mcp = await asyncio.to_thread(_load)
        server = self.server
        if server.command is not None:
            process = mcp.StdioServerParameters(
                command=server.command,
                args=list(server.args),
                env=filled(server.env, self._setting),
            )
            async with mcp.Client(process, cache=None) as client:
                yield client
        else:
            async with (
                _http(server.url or "", filled(server.headers, self._setting)) as transport,
                mcp.Client(transport, cache=None) as client,
            ):
                yield client

    async def _read_tools(self, client: "Client") -> None:
        there: dict[str, Any] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            there |= {tool.name: tool for tool in page.tools}
            cursor = page.next_cursor
            if not cursor:
                break
        offered = self.server.tools
        self.missing = tuple(name for name in offered if name not in there)
        self._names = {offered_name(self.server.name, name): name for name in offered}
        self.tools = tuple(
            Tool(
                name=offered_name(self.server.name, name),
                description=how.description or there[name].description or name,
                parameters=there[name].input_schema,
                source=self.server.name,
                time_limit_secs=how.time_limit_secs or self.server.time_limit_secs,
                repeatable=how.repeatable,
                confirm=how.confirm,
                nodes=how.nodes or self.server.nodes,
                max_chars=how.max_chars,
            )
            for name, how in offered.items()
            if name in there
        )


@asynccontextmanager
async def _http(
    url: str, headers: dict[str, str]
) -> AsyncGenerator[AbstractAsyncContextManager[Any]]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    # Reading the certificates holds the loop for some 20 ms.
    client = await asyncio.to_thread(
        lambda: httpx2.AsyncClient(
            headers=headers, timeout=httpx2.Timeout(CONNECT_SECS, read=None, pool=None)
        )
    )
    async with client:
        yield streamable_http_client(url, http_client=client)


def _load() -> Any:  # noqa: ANN401  # the module
    try:
        import mcp
    except ModuleNotFoundError:
        raise McpUnavailableError(
            "the package `mcp` is not installed: uv sync --extra mcp"
        ) from None
    return mcp
