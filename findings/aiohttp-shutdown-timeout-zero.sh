#!/usr/bin/env bash
# A web server of aiohttp that is to wait 0 s for its handlers waits for them without end.
#
# The guess that fails: `AppRunner(app, shutdown_timeout=0)` cuts off what still runs, as 0 does for
# asyncio's own `timeout(0)`; and any other value is the longest that `cleanup()` takes.
#
# What happens: 0 (and less) is taken as "no limit", so `cleanup()` returns when the last handler has,
# which a stream of server-sent events or a long poll never does. The other values are used twice, one
# after the other: a handler that sleeps is waited for as long, then its end is once more. So the
# smallest wait is a small number that is not 0, and takes double.
#
# aiohttp 3.14.5, Python 3.11. Output seen (a handler that answers after 4 s):
#   shutdown_timeout 1: cleanup took 2.0 s, its handler was cancelled
#   shutdown_timeout 0.1: cleanup took 0.2 s, its handler was cancelled
#   shutdown_timeout 0: cleanup took 4.0 s, its handler ended
#
# What to do: a small number such as 0.01.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'uv==0.13.9'
venv/bin/uv pip install --quiet --python venv --exclude-newer 2026-11-20 'aiohttp==3.14.5'

cat > run.py <<'PYTHON'
import asyncio
import sys
import time

from aiohttp import ClientError, ClientSession, web

ANSWER_SECS = 4


async def shut(timeout: float) -> tuple[float, str]:
    """How long `cleanup` takes while a handler runs, and what becomes of the handler."""
    began, fate = asyncio.Event(), []

    async def handler(_: web.Request) -> web.Response:
        began.set()
        try:
            await asyncio.sleep(ANSWER_SECS)
        except asyncio.CancelledError:
            fate.append("was cancelled")
            raise
        fate.append("ended")
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=timeout)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]

    async def ask() -> None:
        async with ClientSession() as client:
            try:
                async with client.get(f"http://{host}:{port}/"):
                    pass
            except ClientError:
                pass

    asking = asyncio.create_task(ask())
    await began.wait()
    at = time.monotonic()
    await runner.cleanup()
    secs = time.monotonic() - at
    await asking
    return secs, fate[0]


async def main() -> int:
    seen = {}
    for timeout in (1, 0.1, 0):
        secs, fate = seen[timeout] = await shut(timeout)
        print(f"shutdown_timeout {timeout}: cleanup took {secs:.1f} s, its handler {fate}")
    cut = all(seen[timeout][1] == "was cancelled" for timeout in (1, 0.1))
    double = seen[1][0] > 1.8
    endless = seen[0][0] > ANSWER_SECS - 0.5 and seen[0][1] == "ended"
    return 0 if cut and double and endless else 1


sys.exit(asyncio.run(main()))
PYTHON

for _ in 1 2; do
  venv/bin/python -W error run.py
done
