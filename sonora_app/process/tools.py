"""The tools of a process: read once, and shared by its calls."""

import asyncio

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
        # To read the certificates for TLS takes some 60 ms.
        made = await asyncio.to_thread(_declared_toolbox, settings)
        _toolbox = _toolbox or made
    return await with_servers(_toolbox, settings)


def _declared_toolbox(settings: Settings) -> Toolbox:
    declared = declared_tools(settings)
    if not declared:
        return NO_TOOLBOX
    runners = {
        HTTP: HttpTools([each for each in declared if isinstance(each, HttpTool)]),
        PYTHON: PythonTools([each for each in declared if isinstance(each, PythonTool)]),
    }
    return Toolbox((each.tool for each in declared), runners)
