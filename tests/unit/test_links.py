"""Links to pictures: what they may lead to. A real server on loopback must never be reached."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import FileError
from sonora_app.files.links import PublicResolver, checked_link, fetch_picture, is_public

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("2001:0:7f00:1::", "2001:db8::1", "localhost", ""),
    ],
)
def test_what_is_not_of_the_public_internet_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
def test_what_is_public_is_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "link",
    [
        *("http://example.com/a.png", "file:///etc/passwd", "ftp://example.com/a", "example.com/a"),
        *("https://example.com:8443/a", "https://ana:clave@example.com/a", "https:///a", ""),
        *("https://127.0.0.1/a", "https://[::1]/a", "https://169.254.169.254/latest/meta-data"),
        "https://[::ffff:10.0.0.1]/a",
        "https://example.com/" + "a" * 2_000,
    ],
)
def test_a_link_that_may_not_be_followed_is_refused(link: str) -> None:
    with pytest.raises(FileError) as refused:
        checked_link(link)
    assert refused.value.code is ErrorCode.LINK_REFUSED


def resolving_to(*addresses: str) -> Any:
    async def getaddrinfo(*_: Any, **__: Any) -> Sequence[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]

    return getaddrinfo


async def test_a_name_with_one_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", resolving_to("93.184.216.34"))
    (found,) = await PublicResolver().resolve("example.com", 443)
    assert (found["host"], found["hostname"]) == ("93.184.216.34", "example.com")
    monkeypatch.setattr(loop, "getaddrinfo", resolving_to("93.184.216.34", "10.0.0.1"))
    with pytest.raises(FileError, match="public internet"):
        await PublicResolver().resolve("example.com", 443)


async def test_nothing_of_this_machine_is_reached() -> None:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        for link in (
            f"https://localhost:{port}/a",
            "https://localhost/a",
            "https://2130706433/a",
            "https://127.1/a",
            "https://0x7f.1/a",
        ):
            with pytest.raises(FileError) as refused:
                await fetch_picture(link)
            assert refused.value.code is ErrorCode.LINK_REFUSED
    finally:
        await runner.cleanup()
    assert reached == []
