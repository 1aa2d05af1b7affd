"""The MCP servers of a process: connected once, and shared by its calls."""

from typing import TYPE_CHECKING

from sonora_app.settings import Settings
from sonora_app.settings.env_file import named_variables
from sonora_app.settings.environment import ENV_FILE
from sonora_app.tools.declared import declared_servers
from sonora_app.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from sonora_app.tools.mcp.tools import McpTools

_FIRST_SECS = 1.0
"""How long the first call waits for servers that have not answered yet."""

_servers: "McpTools | None" = None


async def with_servers(toolbox: Toolbox, settings: Settings) -> Toolbox:
    """A toolbox with the tools as well of those servers that can be reached now.

    Args:
        toolbox: The tools that are declared one by one.
        settings: The settings.

    Raises:
        SettingsError: The servers cannot be used as they are declared.
    """
    global _servers
    if _servers is None:
        declared = declared_servers(settings)
        if not declared:
            return toolbox
        from sonora_app.tools.mcp.tools import McpTools

        _servers = McpTools(declared, named_variables(ENV_FILE).__getitem__)
        _servers.start()
    await _servers.ready(within_secs=_FIRST_SECS)
    return toolbox.joined(_servers.tools, _servers.runners)


async def close_servers() -> None:
    """Close the connections, if there are any."""
    global _servers
    servers, _servers = _servers, None
    if servers is not None:
        await servers.aclose()
