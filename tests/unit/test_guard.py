"""Who may ask the development runner: known names, and pages of known names."""

import socket
from collections.abc import Mapping

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from sonora_app.console.guard import KnownPagesOnly, hosts_and_origins, machine_names

pytestmark = pytest.mark.unit

HOST = "localhost:7860"
MACHINE = socket.gethostname().lower()


def guarded(*arguments: str, allowed_hosts: str = "") -> FastAPI:
    """What the runner has, as far as the guard is concerned."""
    app = FastAPI()
    hosts, origins = hosts_and_origins(allowed_hosts, arguments, {})
    app.add_middleware(KnownPagesOnly, hosts=hosts, origins=origins)

    @app.post("/start")
    @app.post("/api/offer")
    @app.patch("/api/offer")
    @app.post("/sessions/7/api/offer")
    async def start() -> dict[str, str]:
        return {"sessionId": "7"}

    @app.get("/daily")
    @app.get("/")
    async def opened() -> dict[str, str]:
        return {}

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("here")
        await socket.close()

    return app


async def status(app: FastAPI, method: str, path: str, headers: Mapping[str, str]) -> int:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        return (await http.request(method, path, headers=headers)).status_code


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "cross-site"}, 200),
        ({"origin": f"http://{HOST}"}, 200),
        ({"host": "LOCALHOST.:7860"}, 200),
        ({"host": "192.168.1.20:7860", "origin": "http://192.168.1.20:7860"}, 200),
        ({"host": "[fe80::1]:7860", "origin": "http://[fe80::1]:7860"}, 200),
        ({"host": f"{MACHINE}:7860", "origin": f"http://{MACHINE}:7860"}, 200),
        # A site that gave its own name this machine's address.
        ({"host": "evil.example:7860", "origin": "http://evil.example:7860"}, 403),
        ({"host": "evil.example:7860"}, 403),
        ({"host": "evil.example", "origin": "http://localhost:7860"}, 403),
        ({"host": "localhost.evil.example:7860"}, 403),
        ({"host": "127.0.0.1.evil.example:7860"}, 403),
        ({"host": "evil.example@localhost:7860"}, 403),
        ({"host": "localhost/.evil.example"}, 403),
        ({"host": ""}, 403),
        ({"host": "[::1"}, 403),
        # Another site, which asks by a name of ours.
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://localhost.evil.example"}, 403),
        ({"origin": "http://203.0.113.7"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"origin": "ftp://localhost"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/start"),
        ("POST", "/api/offer"),
        ("PATCH", "/api/offer"),
        ("POST", "/sessions/7/api/offer"),
    ],
)
async def test_only_known_names_and_pages_start_a_call(
    method: str, path: str, headers: dict[str, str], expected: int
) -> None:
    assert await status(guarded(), method, path, headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": HOST}, "here"),
        ({"host": HOST, "origin": "http://localhost:3000"}, "here"),
        ({"host": "evil.example:7860", "origin": "http://evil.example:7860"}, None),
        ({"host": "evil.example:7860"}, None),
        ({"host": HOST, "origin": "https://evil.example"}, None),
        ({"host": HOST, "origin": "null"}, None),
    ],
)
def test_sockets_are_guarded_alike(headers: dict[str, str], expected: str | None) -> None:
    client = TestClient(guarded())
    heard = None
    try:
        with client.websocket_connect("/ws", headers=headers) as socket:
            heard = socket.receive_text()
    except WebSocketDisconnect:
        assert expected is None
    assert heard == expected


async def test_two_hosts_are_none() -> None:
    app = guarded()
    transport = httpx.ASGITransport(app)
    both = [("host", "localhost:7860"), ("host", "evil.example")]
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        answer = await http.post("/start", headers=both)

    assert answer.status_code == 403


async def test_a_link_leads_to_the_page_and_begins_nothing() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert await status(guarded(), "GET", "/", link) == 200
    assert await status(guarded(), "GET", "/daily", link) == 403
    assert await status(guarded(), "POST", "/start", link) == 403
    assert await status(guarded(), "GET", "/", {**link, "sec-fetch-mode": "no-cors"}) == 403


@pytest.mark.parametrize(
    ("arguments", "allowed_hosts"),
    [
        ((), "bot.example"),
        ((), "other.example, Bot.Example."),
        (("--local", "--host", "bot.example", "--port", "7860"), ""),
        (("--port", "7860", "-x", "bot.example"), ""),
        (("--proxy=bot.example",), ""),
    ],
)
async def test_names_that_are_allowed(arguments: tuple[str, ...], allowed_hosts: str) -> None:
    app = guarded(*arguments, allowed_hosts=allowed_hosts)
    own = {"host": "bot.example", "origin": "https://bot.example"}

    assert await status(app, "POST", "/start", own) == 200
    assert await status(app, "POST", "/start", {**own, "origin": "https://evil.example"}) == 403
    assert await status(app, "POST", "/start", {"host": "evil.example"}) == 403
    assert await status(app, "POST", "/start", {"host": "a.bot.example"}) == 403


async def test_origins_that_are_allowed_open_no_name() -> None:
    app = guarded("--allowed-origins", "https://app.example", "https://two.example", "--port", "1")

    for origin in ("https://app.example", "https://two.example"):
        assert await status(app, "POST", "/start", {"origin": origin}) == 200
    assert await status(app, "POST", "/start", {"origin": "http://app.example"}) == 403
    assert await status(app, "POST", "/start", {"host": "app.example"}) == 403
    environment = {"PIPECAT_ALLOWED_ORIGINS": "https://a.example,https://b.example"}
    assert hosts_and_origins("", (), environment)[1] == {"https://a.example", "https://b.example"}


def test_this_machine_has_a_name() -> None:
    assert MACHINE.rstrip(".") in machine_names()
    assert not any(name.startswith(".") for name in machine_names())
