"""Fetches a picture from a link that a person sent, and nothing that is not public.

A link can lead into the machine or network that the bot runs in: the metadata of a cloud, a router,
a database. So it is https on its usual port, its name is resolved here, and the connection goes to
the very addresses that were checked. The same is done again after each redirect.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import FileError
from sonora_app.wording.translation import worded

MAX_LINKED_BYTES = 10_000_000
MAX_LINK_CHARS = 2_000

_FETCHED_SECS = 6.0
_REDIRECTS = 3
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "100.64.0.0/10",  # shared by customers of a provider
            "192.88.99.0/24",  # 6to4 relays
            "64:ff9b::/96",  # these four carry an IPv4 address that the network unwraps
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/32",
        ),
    )
)
_HEADERS = {
    "User-Agent": "Sonora",
    "Accept": "image/*",
    # A small body must not unpack to a large one.
    "Accept-Encoding": "identity",
}


async def fetch_picture(link: str) -> bytes:
    """What a link to a picture gives, within some seconds.

    Args:
        link: From outside; may be anything.

    Raises:
        FileError: It is no such link, leads to a place that is not public, or gives nothing of use.
    """
    try:
        async with asyncio.timeout(_FETCHED_SECS):
            return await _fetch(link)
    except TimeoutError:
        raise _refused(
            worded("The link gave no picture within {secs} s.", secs=f"{_FETCHED_SECS:g}")
        ) from None
    except (aiohttp.ClientError, OSError, ValueError):
        # What a server says, and how a connection fails, tell of the network: neither is told.
        raise _refused(worded("The link cannot be fetched.")) from None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip.version == net.version and ip in net for net in _NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def checked_link(link: str) -> URL:
    """A link that may be followed, as far as it can be told without resolving its name.

    Raises:
        FileError: It may not.
    """
    try:
        url = URL(link)
        host, port = url.host, url.port
    except ValueError:
        host = port = url = None
    if url is None or not host or len(link) > MAX_LINK_CHARS:
        raise _refused(worded("This is not a link."))
    if url.scheme != "https" or port != 443 or url.user or url.password:
        raise _refused(worded("Only links that begin with https:// are followed."))
    if _is_numeric(host) and not is_public(host):
        raise _refused(worded("The link does not lead to the public internet."))
    return url


class PublicResolver(AbstractResolver):
    """Resolves names, and gives an address only if all that a name has are public."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            FileError: One of them is not public.
            OSError: The name is not known.
        """
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family
        )
        addresses: Sequence[str] = [str(each[4][0]) for each in found]
        if not addresses or not all(map(is_public, addresses)):
            raise _refused(worded("The link does not lead to the public internet."))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=each[0],
                proto=each[2],
                flags=socket.AI_NUMERICHOST,
            )
            for each, address in zip(found, addresses, strict=True)
        ]

    async def close(self) -> None:
        """Close nothing: there is nothing open."""


async def _fetch(link: str) -> bytes:
    connector = aiohttp.TCPConnector(resolver=PublicResolver(), use_dns_cache=False, limit=1)
    options: dict[str, Any] = {"cookie_jar": aiohttp.DummyCookieJar(), "auto_decompress": False}
    async with aiohttp.ClientSession(
        connector=connector, trust_env=False, headers=_HEADERS, **options
    ) as session:
        for _ in range(_REDIRECTS + 1):
            url = checked_link(link)
            async with session.get(url, allow_redirects=False) as response:
                if response.status in (301, 302, 303, 307, 308):
                    link = str(url.join(URL(response.headers.get("Location", ""))))
                    continue
                if response.status != 200:
                    raise _refused(worded("The link gives no picture."))
                return await _body(response)
    raise _refused(worded("The link leads on and on."))


async def _body(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_LINKED_BYTES:
        raise _too_large()
    body = bytearray()
    async for piece in response.content.iter_chunked(65_536):
        body += piece
        if len(body) > MAX_LINKED_BYTES:
            raise _too_large()
    return bytes(body)


def _is_numeric(host: str) -> bool:
    """Whether a host is an address, also in a way of writing that only a resolver understands."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _too_large() -> FileError:
    return FileError(
        ErrorCode.FILE_TOO_LARGE,
        worded("The link gives more than {most} MB.", most=f"{MAX_LINKED_BYTES / 1e6:.0f}"),
    )


def _refused(message: str) -> FileError:
    return FileError(
        ErrorCode.LINK_REFUSED,
        message,
        hint=worded("Send the picture itself, or another link."),
    )
