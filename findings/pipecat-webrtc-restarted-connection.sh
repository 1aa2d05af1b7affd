#!/usr/bin/env bash
# Pipecat's SmallWebRTC keeps every connection that was ever restarted, with its whole pipeline.
#
# The guess that fails: `SmallWebRTCRequestHandler` drops a connection from its map when the
# connection closes; its own log line says so ("Discarding peer connection for pc_id").
#
# What happens: an offer with `restart_pc: true`, which Pipecat's browser client sends by itself when
# its network was away, gives the same connection another `pc_id`. The handler files it a second time
# under the new id. On closing, only the last id is taken out. The entry under the first id holds the
# connection, its event handlers, and by these the transport, the pipeline and all its services, with
# their open connections to vendors, until the process ends. Each restart adds an entry.
#
# pipecat-ai 1.14.0. Output seen:
#   never restarted: closed, 0 still held
#   restarted once: closed, 1 still held
#
# What to do: let the connection keep its id when it initialises itself anew.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[webrtc]==1.14.0' 'fastapi==0.165.0'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import gc
import sys
import weakref

from loguru import logger

logger.remove()

from aiortc import RTCPeerConnection  # noqa: E402
from pipecat.transports.smallwebrtc.request_handler import (  # noqa: E402
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)


async def held(restarts: int) -> int:
    """How many connections are alive some seconds after the only one was closed."""
    handler = SmallWebRTCRequestHandler()
    connections: list = []

    async def taken(connection) -> None:
        connections.append(connection)

    pc_id = None
    for _ in range(restarts + 1):
        page = RTCPeerConnection()
        page.addTransceiver("audio")
        page.createDataChannel("chat")
        await page.setLocalDescription(await page.createOffer())
        offer = page.localDescription
        answer = await handler.handle_web_request(
            SmallWebRTCRequest(offer.sdp, offer.type, pc_id, restart_pc=pc_id is not None), taken
        )
        pc_id = answer["pc_id"]
        await page.close()
    (connection,) = connections
    alive = weakref.ref(connection)
    await connection.disconnect()
    connections.clear()
    del connection
    # Longer than the two seconds that a renegotiation is waited for.
    for _ in range(8):
        await asyncio.sleep(0.5)
        gc.collect()
    return int(alive() is not None)


async def main() -> None:
    never, once = await held(0), await held(1)
    print(f"never restarted: closed, {never} still held")
    print(f"restarted once: closed, {once} still held")
    sys.exit((never, once) != (0, 1))


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py"; done
