"""A server that runs the bot as the base image of Pipecat Cloud does. Run as a program by tests.

It imports the module `bot` and calls `bot()` with the session arguments of `pipecatcloud`. Its
server is uvicorn's, which stops taking connections at SIGTERM and then waits for the calls, for up
to two hours. It tells them nothing.
"""

import argparse
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import uvicorn
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import JSONResponse
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecatcloud.agent import SmallWebRTCSessionArguments

import bot

SHUTDOWN_TIMEOUT_SECS = 7200
app = FastAPI()
handler = SmallWebRTCRequestHandler()
bodies: dict[str, Any] = {}


@app.get("/status")
async def status() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/readyz")
async def readyz() -> JSONResponse:
    state = bot.readyz()
    return JSONResponse(state, status_code=200 if state["ready"] else 503)


@app.post("/start")
async def start(request: Request) -> dict[str, str]:
    """As the platform does, in front of its instances."""
    session_id = str(uuid4())
    bodies[session_id] = (await request.json()).get("body")
    return {"sessionId": session_id}


@app.post("/sessions/{session_id}/api/offer")
async def offer(session_id: str, request: Request, background_tasks: BackgroundTasks) -> Any:
    async def connected(connection: Any) -> None:
        arguments = SmallWebRTCSessionArguments(
            session_id=session_id, webrtc_connection=connection, body=bodies.get(session_id)
        )
        background_tasks.add_task(bot.bot, arguments)

    return await handler.handle_web_request(
        request=SmallWebRTCRequest.from_dict(await request.json()),
        webrtc_connection_callback=connected,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    flags = parser.parse_args()
    uvicorn.run(
        app,
        host=flags.host,
        port=flags.port,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECS,
    )
