"""Checks the MCP servers of flows/tools.yaml, for `sonora doctor`."""

import asyncio

from sonora_app.errors import SonoraError
from sonora_app.identity.callers import Finding
from sonora_app.settings import Settings
from sonora_app.settings.env_file import named_variables
from sonora_app.settings.environment import ENV_FILE
from sonora_app.tools.declared import declared_servers, declared_tools
from sonora_app.tools.mcp.connection import McpConnection
from sonora_app.tools.mcp.faults import McpUnavailableError
from sonora_app.wording.translation import worded


async def examine_servers(settings: Settings) -> list[tuple[str, Finding]]:
    """Whether each MCP server can be reached and has the tools that are named, by its name.

    Those that cannot be used as they are declared are one finding without a name. None is told of
    while the tools beside them have mistakes, which `examine_tools` names.
    """
    try:
        await asyncio.to_thread(declared_tools, settings)
    except SonoraError:
        return []
    try:
        servers = await asyncio.to_thread(declared_servers, settings)
        setting = named_variables(ENV_FILE).__getitem__
    except SonoraError as error:
        return [("", ("problem", error.message, error.hint))]
    connections = [McpConnection(server, setting) for server in servers]
    found = await asyncio.gather(*(_examine(each) for each in connections))
    return [(server.name, each) for server, each in zip(servers, found, strict=True)]


async def _examine(connection: McpConnection) -> Finding:
    try:
        await connection.connect()
    except McpUnavailableError as error:
        advice = worded("Start it, or mend its address: a call does without its tools meanwhile.")
        return "problem", worded("away: {reason}", reason=error), advice
    finally:
        await connection.aclose()
    if connection.missing:
        missing = worded("it does not have {names}", names=", ".join(connection.missing))
        return "problem", missing, worded("Mend the names of its tools: the server has others.")
    names = [tool.name for tool in connection.tools]
    told = worded("connected, {count}: {names}", count=len(names), names=", ".join(names))
    return "ok", told, ""
