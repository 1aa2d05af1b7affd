#!/usr/bin/env bash
# supabase-py takes 7 s to tell that the database is away, but only to who asks for rows.
#
# The guess that fails: where nobody listens, the client raises at once; where it may wait,
# `postgrest_client_timeout` bounds it. Its HTTP client, httpx, tries nothing again by itself. So
# whoever reads a caller's history with a limit of 2 s has an answer or an error within 2 s.
#
# What happens: a read that finds nobody, or that is answered 503 or 520, is tried four times, after
# pauses of 1, 2 and 4 s, which no time-out bounds and no `Retry-After` changes. Inserts and functions
# (`rpc`) raise at once, and so the same question fails quickly or slowly by how it is asked. Where
# calls go on without the database, each of them waits 7 s before it does.
#
# supabase 2.34.1, httpx 0.28.1. Output seen, with a time-out of 2 s:
#   nobody listens, select: ConnectError after 7.0 s
#   nobody listens, rpc: ConnectError after 0.0 s
#   nobody listens, insert: ConnectError after 0.0 s
#   503 and Retry-After: 30, select: APIError after 7.0 s, 4 requests
#   503 and Retry-After: 30, rpc: APIError after 0.0 s, 1 request
#   503 and Retry-After: 30, insert: APIError after 0.0 s, 1 request
#   nobody listens, select without retries: ConnectError after 0.0 s
#
# What to do: `AsyncClientOptions(postgrest_client_retry=False)`, or `.retry(False)` in a query, and a
# limit of one's own around it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'supabase==2.34.1' 'httpx==0.28.1' 'aiohttp==3.14.5'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import socket
import sys
import time

from aiohttp import web
from httpx import HTTPError
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

KEY = "eyJhbGciOiJIUzI1NiJ9.e30.x"
ASK = {
    "select": lambda client: client.table("messages").select("*").limit(10),
    "rpc": lambda client: client.rpc("last_messages", {}),
    "insert": lambda client: client.table("messages").insert({"content": "Hola"}),
}
requests = 0


async def away(request: web.Request) -> web.Response:
    """PostgREST, while it cannot reach its database."""
    global requests
    requests += 1
    error = {"code": "PGRST002", "message": "Could not query the database for the schema cache. "
             "Retrying.", "details": None, "hint": None}
    return web.json_response(error, status=503, headers={"Retry-After": "30"})


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def outcome(url: str, how: str, **options: bool) -> tuple[str, float]:
    """What is raised, and after how many seconds."""
    options = AsyncClientOptions(postgrest_client_timeout=2, **options)
    client: AsyncClient = await acreate_client(url, KEY, options)
    query = ASK[how](client)
    began = time.monotonic()
    try:
        await query.execute()
    except (HTTPError, APIError) as error:
        return type(error).__name__, round(time.monotonic() - began, 1)
    return "answered", round(time.monotonic() - began, 1)


async def main() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", away)
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    await outcome(nobody(), "insert")  # The first client of a process imports and loads certificates.
    late, asked = [], []
    for how in ASK:
        raised, secs = await outcome(nobody(), how)
        late.append(secs > 6)
        print(f"nobody listens, {how}: {raised} after {secs} s")
    for how in ASK:
        before = requests
        raised, secs = await outcome(f"http://127.0.0.1:{port}", how)
        asked.append(requests - before)
        times = f"{asked[-1]} request{'' if asked[-1] == 1 else 's'}"
        print(f"503 and Retry-After: 30, {how}: {raised} after {secs} s, {times}")
    raised, secs = await outcome(nobody(), "select", postgrest_client_retry=False)
    late.append(secs > 6)
    print(f"nobody listens, select without retries: {raised} after {secs} s")
    await server.cleanup()
    sys.exit((late, asked) != ([True, False, False, False], [4, 1, 1]))


asyncio.run(main())
PYTHON
for run in 1 2; do "$work/venv/bin/python" "$work/run.py"; done
