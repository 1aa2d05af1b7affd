"""Refuses callers over HTTP whom this process cannot take, before anything of a call is built."""

import json
import re
from typing import Any, cast
from uuid import UUID

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonora_app.page.start_request import parse_start_request
from sonora_app.process.calls import Calls, Refusal, Wish
from sonora_app.wording.translation import in_language, preferred

_START = re.compile(r"/start")
_CALL = re.compile(r"(?:/sessions/([^/]+))?/api/offer|/ws(/.*)?")
_MOST_RETURNING = 100
"""How many sessions of callers who come back are known, the latest."""
_MOST_BYTES = 256 * 1024
"""Of an offer: the description of a session has some kilobytes."""


class TakesSoManyCalls:
    """ASGI middleware that answers 503 to callers beyond the limit, and where none is taken.

    None is while the process stops, and where its settings, flow or tools have mistakes.

    `/start` is refused as the offer would be. A call that goes on may still renegotiate. Whoever
    names a conversation that a call talks in may come back to it, though all places are taken: by a
    reload, of which the bot does not know yet. So may whoever names nothing yet, while a client is
    not heard from. `Calls` sees that they do.

    Args:
        app: What holds the calls.
        calls: Those in progress.
    """

    def __init__(self, app: ASGIApp, calls: Calls) -> None:
        """Stand before `app`."""
        self._app = app
        self._calls = calls
        self._returning: dict[str, UUID | Wish] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and _START.fullmatch(scope["path"]):
            await self._start(scope, receive, send)
        elif scope["type"] in ("http", "websocket") and (call := _CALL.fullmatch(scope["path"])):
            await self._begin(call[1], scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._calls.refusal() is not None:
            asked, receive = await _json(receive)
            wish = _wish(asked.get("body"))
            if refusal := self._calls.refusal(wish):
                await busy(refusal, scope)(scope, receive, send)
                return
            send = self._noting(wish, send)
        await self._app(scope, receive, send)

    async def _begin(
        self, session_id: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        offer: dict[str, Any] = {}
        wish = self._returning.get(session_id or "", Wish.NEW)
        if scope["type"] == "http" and self._calls.refusal(wish) is not None:
            offer, receive = await _json(receive)
            wish = _wish(offer.get("request_data"))
        # The call runs inside this: as the request's background task, or as its socket's handler.
        with self._calls.expecting(wish) as refusal:
            if offer.get("pc_id"):
                # For a connection that there is, by what it says itself.
                refusal = None
            await (self._app if refusal is None else busy(refusal, scope))(scope, receive, send)

    def _noting(self, wish: UUID | Wish, send: Send) -> Send:
        """Sends the answer to `/start`, and notes which session is for whom who comes back."""
        answer = b""

        async def noted(message: Message) -> None:
            nonlocal answer
            if message["type"] == "http.response.body":
                answer += message.get("body", b"")
                if not message.get("more_body") and wish is not Wish.NEW:
                    session_id = _object(answer).get("sessionId")
                    while len(self._returning) >= _MOST_RETURNING:
                        del self._returning[next(iter(self._returning))]
                    self._returning[str(session_id)] = wish
            await send(message)

        return noted


def busy(refusal: Refusal, scope: Scope) -> JSONResponse:
    """The answer to who is refused, in the language that the request asks for."""
    language = preferred(Headers(scope=scope).get("accept-language", ""))
    message = in_language(refusal.message, language)
    return JSONResponse(
        # Pipecat's JavaScript client shows people what stands under `detail`.
        {
            "code": refusal.code,
            "message": message,
            "detail": message,
        },
        status_code=503,
        headers={"Retry-After": str(refusal.retry_secs), "Cache-Control": "no-store"},
    )


def _wish(asked: Any) -> UUID | Wish:  # noqa: ANN401  # JSON from outside
    """What a caller asks for, by what comes with the connection."""
    named = parse_start_request(asked)
    if named is None:
        return Wish.UNSAID
    return named.conversation_id or Wish.NEW


async def _json(receive: Receive) -> tuple[dict[str, Any], Receive]:
    """What a body says, and what gives it again."""
    body = await _read(receive)
    return _object(body), _replayed(body, receive)


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


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
