"""Refuses callers over HTTP whom this process cannot take, before anything of a call is built."""

import json
import re
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonora_app.errors import ErrorCode
from sonora_app.process.calls import Calls, Refusal

_START = re.compile(r"/start")
_CALL = re.compile(r"(/sessions/[^/]+)?/api/offer|/ws(/.*)?")
_MOST_BYTES = 256 * 1024
"""Of an offer: the description of a session has some kilobytes."""


class TakesSoManyCalls:
    """ASGI middleware that answers 503 to callers beyond the limit, and while the process stops.

    `/start` is refused as the offer would be. A call that goes on may still renegotiate.

    Args:
        app: What holds the calls.
        calls: Those in progress.
    """

    def __init__(self, app: ASGIApp, calls: Calls) -> None:
        """Stand before `app`."""
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and _START.fullmatch(scope["path"]):
            refusal = self._calls.refusal
            await (self._app if refusal is None else _busy(refusal))(scope, receive, send)
        elif scope["type"] in ("http", "websocket") and _CALL.fullmatch(scope["path"]):
            await self._begin(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The call runs inside this: as the request's background task, or as its socket's handler.
        with self._calls.expecting() as refusal:
            if refusal is not None and scope["type"] == "http":
                body = await _read(receive)
                if _renegotiates(body):
                    refusal, receive = None, _replayed(body, receive)
            await (self._app if refusal is None else _busy(refusal))(scope, receive, send)


def _busy(refusal: Refusal) -> JSONResponse:
    return JSONResponse(
        # Pipecat's JavaScript client shows people what stands under `detail`.
        {
            "code": ErrorCode.AT_CAPACITY,
            "message": refusal.message,
            "detail": refusal.message,
        },
        status_code=503,
        headers={"Retry-After": str(refusal.retry_secs), "Cache-Control": "no-store"},
    )


def _renegotiates(body: bytes) -> bool:
    """Whether an offer is for a connection that there is, by what it says itself."""
    try:
        offer: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(offer, dict) and bool(offer.get("pc_id"))  # pyright: ignore


async def _read(receive: Receive) -> bytes:
    body = b""
    while len(body) < _MOST_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, and then what comes."""
    read: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return read.pop() if read else await receive()

    return replay
