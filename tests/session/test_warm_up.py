"""Callers of a process that has only begun."""

import asyncio
from collections.abc import Generator
from uuid import uuid4

import httpx
import pytest

from tests.clients.bot_process import BotProcess, running_bot
from tests.clients.webrtc import page

pytestmark = [pytest.mark.session, pytest.mark.slow]


@pytest.fixture
def cold_bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot whose port is open, and no more."""
    with running_bot(tmp_path_factory.mktemp("cold"), warm=False) as process:
        yield process


async def test_who_comes_first_sees_the_page_at_once_and_has_a_whole_call(
    cold_bot: BotProcess,
) -> None:
    async def call() -> tuple[str, str]:
        async with page(cold_bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id=f"u{uuid4()}")
            greeted = await client.event("message-recorded", seq=1, timeout_secs=30)
            return opened["data"]["d"]["status"], greeted["role"]

    calling = asyncio.create_task(call())
    async with httpx.AsyncClient(base_url=cold_bot.url) as http:
        for path in ("/", "/sonora/static/console.js", "/status"):
            assert (await http.get(path)).status_code == 200
        assert not calling.done()
        # Built behind the port, too, and for the page alone.
        assert (await http.get("/sonora/api/flow", timeout=60)).status_code == 200
    assert await calling == ("ready", "assistant")
