"""Says which pages may ask the development runner for something.

The runner answers every origin, and any page that a developer has open can send requests to
localhost. A call can be started by pages of this machine, such as a front end on another port;
conversations can be read by the console alone.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer of the API carries."""


class LocalPagesOnly:
    """ASGI middleware that answers 403 to everything that is not this machine's own page.

    Args:
        app: What is protected.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Protect `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        reason = refusal(Headers(scope=scope), scope.get("client"))
        if reason is None and scope["type"] == "http":
            await self._app(scope, receive, send)
            return
        refused = {"code": "refused", "message": reason or "There are no sockets here."}
        await JSONResponse(refused, status_code=403, headers=HEADERS)(scope, receive, send)


class LocalOriginsOnly:
    """ASGI middleware that answers 403 to pages of other sites.

    What sends no origin is no page, and passes: programs, and pages opened by hand.

    Args:
        app: What is protected.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Protect `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan" or _is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refused = {
            "code": "refused",
            "message": "Pages of other sites may not ask; see --allowed-origins.",
        }
        await JSONResponse(refused, status_code=403, headers=HEADERS)(scope, receive, send)


def _is_known(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None or _hostname(origin) in _NAMES:
        return True
    return origin in {f"{scheme}://{headers.get('host')}" for scheme in ("http", "https")}


def refusal(headers: Headers, client: tuple[str, int] | None) -> str | None:
    """Why a request is refused, or None when it may pass.

    Args:
        headers: Its headers.
        client: Where it comes from, as ASGI tells it.
    """
    if client is None or not _is_loopback(client[0]):
        return "Only this machine may ask."
    host = headers.get("host", "")
    if _hostname(f"//{host}") not in _NAMES:
        # A name that somebody else pointed at 127.0.0.1 (DNS rebinding).
        return "Only localhost is answered."
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Only the page of this server may ask."
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "Only the page of this server may ask."
    return None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
