"""What the development runner answers before the process is warm, and where it takes no call."""

import asyncio
import threading
from collections.abc import Generator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from sonora_app.process.admission import TakesSoManyCalls
from sonora_app.process.calls import Calls
from sonora_app.process.dev_runner import WaitsForWarmUp

pytestmark = pytest.mark.unit

ENOUGH_SECS = 5.0


@pytest.fixture
def warm() -> Generator[threading.Event]:
    """Set when the process is warm."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def http(warm: threading.Event) -> httpx.AsyncClient:
    """Asks a runner whose warm-up lasts until `warm` is set."""
    warm_up = threading.Thread(target=warm.wait, daemon=True)
    warm_up.start()
    app = WaitsForWarmUp(PlainTextResponse("answered"), warm_up)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.mark.parametrize("path", ["/", "/status", "/sonora/static/console.js", "/client/"])
async def test_the_page_is_served_at_once(http: httpx.AsyncClient, path: str) -> None:
    async with asyncio.timeout(ENOUGH_SECS):
        assert (await http.get(path)).text == "answered"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/start"),
        ("POST", "/api/offer"),
        ("POST", "/sessions/1/api/offer"),
        ("GET", "/ws"),
        ("GET", "/daily"),
        ("GET", "/sonora/api/conversations"),
    ],
)
async def test_everything_else_waits_and_is_answered_then(
    http: httpx.AsyncClient, warm: threading.Event, method: str, path: str
) -> None:
    asked = asyncio.create_task(http.request(method, path))
    # What is served at once has been by now, so the other is held back.
    await http.get("/status")
    await asyncio.sleep(0.1)
    assert not asked.done()
    warm.set()
    async with asyncio.timeout(ENOUGH_SECS):
        assert (await asked).text == "answered"


async def test_where_no_call_can_be_taken_callers_are_told_why() -> None:
    calls = Calls()
    app = TakesSoManyCalls(PlainTextResponse("answered"), calls)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        calls.misconfigured = why = "The tools cannot be used: tool book, nodes: nowhere."
        for path in ("/start", "/api/offer", "/sessions/1/api/offer"):
            refused = await http.post(path, json={})
            assert (refused.status_code, refused.json()["detail"]) == (503, why)
            assert refused.json()["code"] == "misconfigured"
        assert (await http.get("/sonora/api/flow")).text == "answered"
