#!/usr/bin/env bash
# A list that an MCP tool returns reaches the model through Pipecat as one word, and an empty one as a
# failure.
#
# The guess that fails: a tool that returns `[4, 12]` tells the model of two tables, as a function of
# Pipecat's own does (it is given "[4, 12]"), and one that returns `[]` tells that there is none.
#
# What happens: the MCP SDK makes a text of each item of a list, and sends the list beside them as
# structured content. Pipecat's `MCPClient` sets the texts side by side with nothing in between, and
# leaves out the rest. Two numbers become one, which no model can take apart. Of an empty list there
# is no text, which Pipecat takes for a call that went wrong: the model is told so, and apologises, or
# calls again. A tool that returns an object, as most examples do, arrives whole.
#
# pipecat-ai 1.14.0, mcp 2.3.0. Output seen:
#   {"free": [4, 12]}: told { "free": [ 4, 12 ] }
#   [4, 12]: told 412
#   ["Patio", "Window"]: told PatioWindow
#   []: told Sorry, could not call the mcp tool
#
# What to do: have a server's tools return an object. Where the server is another's, call it by the
# SDK, and hand on `structured_content`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai==1.14.0' 'mcp==2.3.0'

cat > "$work/server.py" <<'PYTHON'
from mcp.server.mcpserver import MCPServer

server = MCPServer("tables")


@server.tool()
def whole() -> dict[str, list[int]]:
    """The numbers of the tables that are free."""
    return {"free": [4, 12]}


@server.tool()
def numbers() -> list[int]:
    """The numbers of the tables that are free."""
    return [4, 12]


@server.tool()
def names() -> list[str]:
    """The names of the tables that are free."""
    return ["Patio", "Window"]


@server.tool()
def none() -> list[int]:
    """The numbers of the tables that are free, on a day on which there is none."""
    return []


server.run()
PYTHON

cat > "$work/run.py" <<'PYTHON'
import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

from loguru import logger

logger.remove()

from mcp import StdioServerParameters  # noqa: E402
from pipecat.services.mcp_service import MCPClient  # noqa: E402

RETURNED = {"whole": {"free": [4, 12]}, "numbers": [4, 12], "names": ["Patio", "Window"], "none": []}
EXPECTED = ['{ "free": [ 4, 12 ] }', "412", "PatioWindow", "Sorry, could not call the mcp tool"]


async def main() -> None:
    script = str(Path(__file__).with_name("server.py"))
    seen = []

    async def told(result: str) -> None:
        seen.append(" ".join(result.split()))

    async with MCPClient(StdioServerParameters(command=sys.executable, args=[script])) as client:
        handlers = {tool.name: tool.handler for tool in (await client.tools()).standard_tools}
        for name, value in RETURNED.items():
            # What an LLM service gives a function that the model has called.
            await handlers[name](
                SimpleNamespace(
                    function_name=name, tool_call_id="1", arguments={}, result_callback=told
                )
            )
            print(f"{json.dumps(value)}: told {seen[-1]}")
    sys.exit(seen != EXPECTED)


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py" 2> /dev/null; done
