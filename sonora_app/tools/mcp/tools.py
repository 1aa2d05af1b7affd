"""The MCP servers of a process: those that can be reached, and those that are away."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from loguru import logger

from sonora_app.tools.mcp.connection import McpConnection
from sonora_app.tools.mcp.faults import McpUnavailableError
from sonora_app.tools.mcp.servers import McpServer
from sonora_app.tools.tool import Tool, ToolRunner

_FIRST_SECS = 1.0
_LONGEST_SECS = 60.0
"""When a server that is away is tried again: after a second, and each time after twice as long."""
_LOOK_SECS = 5.0
"""How often to look whether a connection was lost."""

State = Literal["connecting", "connected", "away"]


class McpTools:
    """The tools of a process's MCP servers. A server that is away costs its tools, and no call.

    Args:
        servers: The servers, each of another name.
        setting: Gives the value of a setting that a declaration names.
    """

    def __init__(self, servers: Sequence[McpServer], setting: Callable[[str], str]) -> None:
        """Nothing is connected yet; `start` connects."""
        self._connections = {each.name: McpConnection(each, setting) for each in servers}
        self._away: dict[str, str] = {}
        self._keeping: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Connect to each in the background, and go on trying for as long as one is away."""
        self._keeping = [
            asyncio.create_task(self._keep(each), name=f"sonora-mcp-keeping-{name}")
            for name, each in self._connections.items()
        ]

    async def ready(self, *, within_secs: float) -> None:
        """Wait until each was reached, or turned out to be away.

        Args:
            within_secs: How long to wait at most, in seconds.
        """
        deadline = asyncio.get_running_loop().time() + within_secs
        while "connecting" in self.states.values():
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.02)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Those that can be used now."""
        return tuple(
            tool for each in self._connections.values() if each.connected for tool in each.tools
        )

    @property
    def runners(self) -> Mapping[str, ToolRunner]:
        """Who does them, by their source."""
        return dict(self._connections)

    @property
    def states(self) -> Mapping[str, State]:
        """How each server stands."""
        return {
            name: "connected" if each.connected else "away" if name in self._away else "connecting"
            for name, each in self._connections.items()
        }

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong, by server: why it is away, or which declared tools it does not have."""
        found = {
            name: f"it does not have {', '.join(each.missing)}"
            for name, each in self._connections.items()
            if each.connected and each.missing
        }
        return found | {
            name: why for name, why in self._away.items() if not self._connections[name].connected
        }

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._keeping = []
        await asyncio.gather(*(each.aclose() for each in self._connections.values()))

    async def _keep(self, connection: McpConnection) -> None:
        name = connection.server.name
        wait_secs = _FIRST_SECS
        while True:
            if connection.connected:
                await asyncio.sleep(_LOOK_SECS)
                continue
            try:
                await connection.connect()
            except McpUnavailableError as error:
                if name not in self._away:
                    logger.warning(
                        f"The MCP server {name} is away: {error}. Its tools are not offered; it is "
                        "tried again"
                    )
                self._away[name] = str(error)
                await asyncio.sleep(wait_secs)
                wait_secs = min(2 * wait_secs, _LONGEST_SECS)
                continue
            self._away.pop(name, None)
            wait_secs = _FIRST_SECS
            tools = len(connection.tools)
            logger.info(f"The MCP server {name} is connected: {tools} tools are offered")
            if connection.missing:
                logger.warning(
                    f"The MCP server {name} does not have {', '.join(connection.missing)}, which "
                    "flows/tools.yaml names"
                )
