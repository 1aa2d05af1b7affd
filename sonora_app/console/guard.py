"""Decides which pages and programs may use the development runner.

Pipecat's runner answers every origin, and any page that is open in a developer's browser can send
requests to localhost. A page can even give its own name this machine's address (DNS rebinding), so
that the browser takes the page and the runner for one site. So the runner answers only requests to
known names: the names of this machine, IP addresses, which no site can give away, and the names
that a setting allows. Pages of this machine, such as a front end on another port, may start calls,
and so may pages that the settings allow. Only the console may read conversations.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator, Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sonora_app.console.answers import answer

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

_PAGES = re.compile(r"/(client(/.*)?)?")
"""What a link on another site may lead to. Nothing begins when it is opened."""

_AUTHORITY = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{1,5})?"
)
"""A host with or without a port, as browsers write it."""


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
        await _refuse(reason or "There are no sockets here.", scope, receive, send)


class KnownPagesOnly:
    """ASGI middleware that answers 403 to requests by unknown names and to pages of other sites.

    What sends no origin is no page's script, and passes: programs, and pages opened by hand.

    Args:
        app: What is protected.
        hosts: Names, besides this machine's own, that the runner is reached by.
        origins: Pages, besides those of these names, that may ask (`https://app.example`).
    """

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> None:
        """Protect `app`."""
        self._app = app
        self._hosts = frozenset(_bare(host) for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._names = frozenset({*_LOCAL, *machine_names(), *self._hosts})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        reason = None if scope["type"] == "lifespan" else self._reason(scope)
        if reason is None:
            await self._app(scope, receive, send)
        else:
            await _refuse(reason, scope, receive, send)

    def _reason(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hostname(hosts[0]) if len(hosts) == 1 else None
        if host is None or not (host in self._names or _is_address(host)):
            return "This name is not answered to; see SONORA_ALLOWED_HOSTS."
        origin = headers.get("origin")
        if origin is None:
            opened = _is_page_opened(scope, headers)
            from_elsewhere = headers.get("sec-fetch-site") == "cross-site"
            return "Pages of other sites may not ask." if from_elsewhere and not opened else None
        if origin.lower() in self._origins or _origin_hostname(origin) in self._names:
            return None
        if origin in {f"{scheme}://{hosts[0]}" for scheme in ("http", "https")}:
            return None
        return "Pages of other sites may not ask; see SONORA_ALLOWED_HOSTS and --allowed-origins."


def machine_names() -> frozenset[str]:
    """The names of this machine, by which others in its network reach it too."""
    name = _bare(socket.gethostname())
    label = name.partition(".")[0]
    return frozenset({name, label, f"{label}.local"} - {"", ".local"})


def hosts_and_origins(
    allowed_hosts: str, arguments: Iterable[str], environment: Mapping[str, str]
) -> tuple[frozenset[str], frozenset[str]]:
    """What `KnownPagesOnly` is to let through besides this machine's own.

    Args:
        allowed_hosts: SONORA_ALLOWED_HOSTS.
        arguments: The runner's command line: `--host`, `--proxy` and `--allowed-origins` count.
        environment: Where `PIPECAT_ALLOWED_ORIGINS` may stand, which Pipecat's runner reads.
    """
    hosts = set(_listed(allowed_hosts))
    origins = set(_listed(environment.get("PIPECAT_ALLOWED_ORIGINS", "")))
    for name, value in _flags(arguments):
        if name in ("--host", "-x", "--proxy"):
            hosts.add(value)
        elif name == "--allowed-origins":
            origins.add(value)
    return frozenset(hosts), frozenset(origins)


def refusal(headers: Headers, client: tuple[str, int] | None) -> str | None:
    """Why a request is refused, or None when it may pass.

    Args:
        headers: Its headers.
        client: Where it comes from, as ASGI tells it.
    """
    if client is None or not _is_loopback(client[0]):
        return "Only this machine may ask."
    host = headers.get("host", "")
    if hostname(host) not in _LOCAL:
        # A name that somebody else pointed at 127.0.0.1 (DNS rebinding).
        return "Only localhost is answered."
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Only the page of this server may ask."
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "Only the page of this server may ask."
    return None


def hostname(authority: str) -> str | None:
    """The name or address in a `Host` header, in small letters; None when it holds neither."""
    match = _AUTHORITY.fullmatch(authority)
    return _bare(match["address"] or match["name"]) if match else None


def _origin_hostname(origin: str) -> str | None:
    scheme, _, authority = origin.partition("://")
    return hostname(authority) if scheme in ("http", "https") else None


def _is_page_opened(scope: Scope, headers: Headers) -> bool:
    is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    is_opened = headers.get("sec-fetch-mode") == "navigate"
    return is_read and is_opened and _PAGES.fullmatch(scope["path"]) is not None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bare(host: str) -> str:
    return host.strip().lower().removesuffix(".")


def _listed(names: str) -> list[str]:
    return [name for name in re.split(r"[\s,]+", names) if name]


def _flags(arguments: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each value on a command line, with the flag before it."""
    flag = ""
    for argument in arguments:
        if not argument.startswith("-"):
            yield flag, argument
        elif "=" in argument:
            flag, _, value = argument.partition("=")
            yield flag, value
        else:
            flag = argument


async def _refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    refused = {"code": "refused", "message": reason}
    await answer(refused, 403)(scope, receive, send)
