"""The tools that this installation declares."""

from pathlib import Path

from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.settings import Settings
from sonora_app.settings.env_file import named_variables
from sonora_app.settings.environment import ENV_FILE
from sonora_app.tools.declaration import load_tools
from sonora_app.tools.http import HttpTool
from sonora_app.tools.mcp.declaration import load_servers
from sonora_app.tools.mcp.servers import McpServer, offered_name
from sonora_app.tools.python import PythonTool


def declared_tools(settings: Settings) -> tuple[HttpTool | PythonTool, ...]:
    """The tools of the file; none where it declares none, which loads nothing.

    Raises:
        SettingsError: The file has mistakes.
    """
    path = tools_path(settings)
    if not path.exists():
        return ()
    nodes, taken = _of_flow()
    return load_tools(path, named_variables(ENV_FILE), nodes=nodes, taken=taken)


def declared_servers(settings: Settings) -> tuple[McpServer, ...]:
    """The MCP servers of the file; none where it declares none.

    Raises:
        SettingsError: They cannot be used as they are declared.
    """
    path = tools_path(settings)
    if not path.exists():
        return ()
    nodes, taken = _of_flow()
    taken |= {each.tool.name for each in declared_tools(settings)}
    return load_servers(path, named_variables(ENV_FILE), nodes=nodes, taken=taken)


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


def _of_flow() -> tuple[set[str], set[str]]:
    """The nodes of the flow, and the names of its functions."""
    # Pipecat, which commands need not load.
    from sonora_app.flow.driver import load_flow_config

    config = load_flow_config()
    functions = [each for node in config.nodes.values() for each in node.functions or ()]
    functions += config.global_functions or ()
    return set(config.nodes), {function.name for function in functions}


def tools_path(settings: Settings) -> Path:
    """The file that declares the tools."""
    return settings.tools_file or FLOWS_DIR / "tools.yaml"
