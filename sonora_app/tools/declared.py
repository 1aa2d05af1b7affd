"""The tools that this installation declares."""

import importlib.util
from pathlib import Path
from typing import cast

import yaml

from sonora_app.errors import SettingsError
from sonora_app.flow.check import names_of_flow
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.settings import Settings
from sonora_app.settings.env_file import named_variables
from sonora_app.settings.environment import ENV_FILE
from sonora_app.tools.declaration import SECTIONS, load_tools
from sonora_app.tools.http import HttpTool
from sonora_app.tools.mcp.declaration import load_servers
from sonora_app.tools.mcp.servers import McpServer, offered_name
from sonora_app.tools.python import PythonTool
from sonora_app.tools.yaml_once import read_once
from sonora_app.wording.translation import worded


def declared_tools(settings: Settings) -> tuple[HttpTool | PythonTool, ...]:
    """The tools of the file; none where it declares none, which loads nothing.

    Raises:
        SettingsError: The file has mistakes.
    """
    path = tools_path(settings)
    if not _has(path, "tools", named=settings.tools_file is not None):
        return ()
    nodes, taken = names_of_flow()
    return load_tools(path, named_variables(ENV_FILE), nodes=nodes, taken=taken)


def declared_servers(settings: Settings) -> tuple[McpServer, ...]:
    """The MCP servers of the file; none where it declares none.

    Raises:
        SettingsError: They cannot be used as they are declared.
    """
    tools = declared_tools(settings)
    path = tools_path(settings)
    if not _has(path, "mcp", named=settings.tools_file is not None):
        return ()
    nodes, taken = names_of_flow()
    taken |= {each.tool.name for each in tools}
    servers = load_servers(path, named_variables(ENV_FILE), nodes=nodes, taken=taken)
    if servers and importlib.util.find_spec("mcp") is None:
        raise SettingsError(
            worded("The MCP servers cannot be used: the package mcp is not installed."),
            hint=worded("Run `uv sync --extra mcp`."),
        )
    return servers


def check_tools(settings: Settings) -> None:
    """Look for mistakes in what is declared. Whether an MCP server can be reached is not asked.

    Raises:
        SettingsError: There are mistakes. The message is one line.
    """
    declared_servers(settings)


def tools_of_nodes(settings: Settings) -> dict[str, list[str]]:
    """The names of the tools that are declared, by the node of the flow that offers them.

    Raises:
        SettingsError: The file has mistakes.
    """
    offered = [(each.tool.name, each.tool.nodes) for each in declared_tools(settings)]
    for server in declared_servers(settings):
        for name, how in server.tools.items():
            offered.append((offered_name(server.name, name), how.nodes or server.nodes))
    of_nodes: dict[str, list[str]] = {}
    for name, nodes in offered:
        for node in nodes:
            of_nodes.setdefault(node, []).append(name)
    return of_nodes


def _has(path: Path, section: str, *, named: bool) -> bool:
    """Whether there may be something in a section of a file, so that reading the flow is worth it.

    Args:
        path: The file.
        section: Its name. Where the file has sections that it must not have, the answer is yes, so
            that whoever reads it tells of them.
        named: Whether a setting names it, so that it has to be there.

    Raises:
        SettingsError: A setting names a file that is not there.
    """
    try:
        tree: object = read_once(path.read_text("utf-8"))
    except FileNotFoundError:
        if named:
            raise SettingsError(
                worded("The tools cannot be used: {file} does not exist.", file=path),
                hint=worded("Mend SONORA_TOOLS_FILE."),
            ) from None
        return False
    except (OSError, ValueError, yaml.YAMLError):
        # Told by whoever reads it.
        return True
    if not isinstance(tree, dict):
        return tree is not None
    names = set(cast("dict[object, object]", tree))
    return section in names or not names <= SECTIONS


def tools_path(settings: Settings) -> Path:
    """The file that declares the tools."""
    return settings.tools_file or FLOWS_DIR / "tools.yaml"
