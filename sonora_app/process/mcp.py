"""The MCP servers of a process: connected once, and shared by its calls."""

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from sonora_app.errors import SettingsError
from sonora_app.settings import Settings
from sonora_app.settings.env_file import named_variables
from sonora_app.settings.environment import ENV_FILE
from sonora_app.tools.declared import declared_servers
from sonora_app.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from sonora_app.tools.mcp.servers import McpServer
    from sonora_app.tools.mcp.tools import McpTools

_FIRST_SECS = 1.0
"""How long the first call waits for servers that have not answered yet."""

_servers: "McpTools | None" = None
_declared: "tuple[McpServer, ...] | None" = None
"""None until the file was read."""


async def connect_servers(settings: Settings, *, after: threading.Thread) -> None:
    """Connect before the first call needs it, so that a server that is away is told of at once.

    Args:
        settings: The settings.
        after: What is more urgent: the servers wait until it has ended.
    """
    await asyncio.to_thread(after.join)
    # What is wrong with the declaration was told by then.
    with contextlib.suppress(SettingsError):
        await _begun(settings)


async def with_servers(toolbox: Toolbox, settings: Settings) -> Toolbox:
    """A toolbox with the tools as well of those servers that can be reached now.

    Args:
        toolbox: The tools that are declared one by one.
        settings: The settings.

    Raises:
        SettingsError: The servers cannot be used as they are declared.
    """
    servers = await _begun(settings)
    if servers is None:
        return toolbox
    await servers.ready(within_secs=_FIRST_SECS)
    return toolbox.joined(servers.tools, servers.runners)


async def _begun(settings: Settings) -> "McpTools | None":
    """The servers, which connect from now on; None where none is declared."""
    global _servers, _declared
    if _declared is None:
        _declared = await asyncio.to_thread(declared_servers, settings)
    if _declared and _servers is None:
        from sonora_app.tools.mcp.tools import McpTools

        _servers = McpTools(_declared, named_variables(ENV_FILE).__getitem__)
        _servers.start()
    return _servers


async def close_servers() -> None:
    """Close the connections, if there are any."""
    global _servers
    servers, _servers = _servers, None
    if servers is not None:
        await servers.aclose()
