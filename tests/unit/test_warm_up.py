"""What the development runner answers before the process is warm."""

import asyncio
import threading
from collections.abc import Generator

import httpx
import pytest
from starlette.responses import PlainTextResponse

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
