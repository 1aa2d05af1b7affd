"""The tools of a process: read once, and shared by its calls."""

from sonora_app.process.mcp import with_servers
from sonora_app.settings import Settings
from sonora_app.tools.declared import declared_tools
from sonora_app.tools.http import HttpTool, HttpTools
from sonora_app.tools.python import PYTHON, PythonTool, PythonTools
from sonora_app.tools.tool import HTTP
from sonora_app.tools.toolbox import NO_TOOLBOX, Toolbox

_toolbox: Toolbox | None = None


async def process_toolbox(settings: Settings) -> Toolbox:
    """The tools of this process.

    Raises:
        SettingsError: The file has mistakes.
    """
    global _toolbox
    if _toolbox is None:
        declared = declared_tools(settings)
        runners = {
            HTTP: HttpTools([each for each in declared if isinstance(each, HttpTool)]),
            PYTHON: PythonTools([each for each in declared if isinstance(each, PythonTool)]),
        }
        _toolbox = Toolbox((each.tool for each in declared), runners) if declared else NO_TOOLBOX
    return await with_servers(_toolbox, settings)
