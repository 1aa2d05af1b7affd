#!/usr/bin/env bash
# A call of a tool raises asyncio.CancelledError where the MCP server has gone away.
#
# The guess that fails: with the MCP SDK's own client, `async with Client(url) as client`, a call whose
# server has been stopped raises an error of the connection, or MCPError. So `except Exception`
# around `client.call_tool(...)` is enough for the bot to go on.
#
# What happens: the transport's task group fails, and cancels the task that entered the client, which
# is the one that called. The call ends by CancelledError, which `except Exception` lets through, and so
# does every later await in the block. The true cause (ConnectError) comes only when the block ends,
# in an ExceptionGroup. A call from another task gets MCPError -32000 "Connection closed" instead.
#
# mcp 2.3.0. Output seen:
#   called by the task that opened it: CancelledError
#   called by another task: MCPError
#
# What to do: have one task of your own enter the client and wait, call from others, and open it anew
# after "Connection closed".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 'mcp==2.3.0'

cat > "$work/server.py" <<'PYTHON'
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("numbers")


@server.tool()
def seven() -> int:
    """Seven."""
    return 7


uvicorn.run(server.streamable_http_app(), port=int(sys.argv[1]), log_level="critical")
PYTHON

cat > "$work/run.py" <<'PYTHON'
import asyncio
import logging
import socket
import subprocess
import sys
import time
from pathlib import Path

from mcp import Client

logging.disable(logging.CRITICAL)
SERVER = Path(__file__).with_name("server.py")


def started() -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, port
        except OSError:
            time.sleep(0.1)


async def called(client: Client) -> str:
    try:
        await client.call_tool("seven", {})
    except BaseException as error:
        return type(error).__name__
    return "an answer"


async def run(*, by_another: bool) -> str:
    server, port = started()
    found = ""
    try:
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            assert await called(client) == "an answer"
            server.kill()
            server.wait()
            if by_another:
                other = asyncio.create_task(called(client))
                while not other.done():
                    try:
                        await asyncio.wait({other})
                    except asyncio.CancelledError:
                        pass  # this task, which opened it, is cancelled nevertheless
                found = other.result()
            else:
                found = await called(client)
    except BaseException:  # the cause, in a group
        pass
    finally:
        server.kill()
    return found


async def main() -> None:
    seen = [await run(by_another=by_another) for by_another in (False, True)]
    print(f"called by the task that opened it: {seen[0]}")
    print(f"called by another task: {seen[1]}")
    sys.exit(seen != ["CancelledError", "MCPError"])


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py" 2> /dev/null; done
