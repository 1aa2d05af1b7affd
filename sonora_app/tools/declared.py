"""The tools that this installation declares."""

from pathlib import Path

from sonora_app.flow.driver import load_flow_config
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.settings import Settings
from sonora_app.settings.env_file import named_variables
from sonora_app.settings.environment import ENV_FILE
from sonora_app.tools.declaration import load_tools
from sonora_app.tools.http import HttpTool


def declared_tools(settings: Settings) -> tuple[HttpTool, ...]:
    """The tools of the file; none where it declares none, which loads nothing.

    Raises:
        SettingsError: The file has mistakes.
    """
    path = tools_path(settings)
    if not path.exists():
        return ()
    config = load_flow_config()
    functions = [each for node in config.nodes.values() for each in node.functions or ()]
    functions += config.global_functions or ()
    taken = {function.name for function in functions}
    variables = named_variables(ENV_FILE)
    return load_tools(path, variables, nodes=config.nodes, taken=taken)


def tools_path(settings: Settings) -> Path:
    """The file that declares the tools."""
    return settings.tools_file or FLOWS_DIR / "tools.yaml"
