"""A page that ends the call, and leaves before the bot has hung up."""

import asyncio
import time

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page

pytestmark = pytest.mark.session

# The bot plays a second of silence before it hangs up.
AFTER_SECS = (0.2, 0.4, 0.6, 0.8)

KEPT_SECS = 3.0
"""The call is kept by then; sound that nobody takes is given up after 4 s."""


async def test_a_page_that_leaves_while_the_bot_ends_the_call_is_no_error(bot: BotProcess) -> None:
    for after_secs in AFTER_SECS:
        logged = len(bot.logged())
        async with page(bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id=f"ana-{after_secs}")
            await client.event("node-changed", node="conversation", timeout_secs=30)
            await client.silence(0.6)
            client.send("disconnect-bot")
            await asyncio.sleep(after_secs)
        left_at = time.monotonic()
        closed = f"conversation {opened['data']['d']['conversation_id']} is closed"
        async with asyncio.timeout(10):
            while closed not in bot.logged():
                await asyncio.sleep(0.05)
        assert time.monotonic() - left_at < KEPT_SECS
        assert "Session ended (user_request)" in bot.logged()[logged:]
        assert "ERROR" not in bot.logged()[logged:]
