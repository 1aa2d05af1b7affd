"""A page that ends the call at once, or leaves before the bot has hung up."""

import asyncio
import time

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.speech import speech
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import page
from sonora_app.storage.records import EndReason
from tests.session.coming_back import ended, open_conversation, talking

pytestmark = pytest.mark.session

# The bot plays a second of silence before it hangs up.
AFTER_SECS = (0.2, 0.4, 0.6, 0.8)

KEPT_SECS = 3.0
"""The call is kept by then; sound that nobody takes is given up after 4 s."""

AT_ONCE_SECS = 1.0
"""So soon the bot has hung up that was asked to. The answer would go on for seconds."""


async def test_a_page_that_leaves_while_the_bot_ends_the_call_is_no_error(bot: BotProcess) -> None:
    for after_secs in AFTER_SECS:
        logged = len(bot.logged())
        async with page(bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id=f"ana-{after_secs}")
            await client.event("node-changed", node="conversation", timeout_secs=30)
            await client.silence(0.6)
            await client.action("end_conversation")
            await client.event("node-changed", node="wrap_up")
            await client.action("end_conversation")
            await client.event("conversation-ended")
            await asyncio.sleep(after_secs)
        left_at = time.monotonic()
        closed = f"conversation {opened['data']['d']['conversation_id']} is closed"
        async with asyncio.timeout(10):
            while closed not in bot.logged():
                await asyncio.sleep(0.05)
        assert time.monotonic() - left_at < KEPT_SECS
        assert "Session ended (user_request)" in bot.logged()[logged:]
        assert "ERROR" not in bot.logged()[logged:]


async def test_a_page_that_has_the_bot_disconnect_in_an_answer_is_let_go_at_once(
    bot: BotProcess,
) -> None:
    logged = len(bot.logged())
    async with page(bot.url) as client:
        opened = await open_conversation(client)
        await talking(client, opened)
        waiting = Waiting(bot)
        client.send("disconnect-bot")
        # Nobody listens any more.
        client.microphone.say(await speech("Quiero planear un viaje a Oaxaca en abril."))
        told = await client.event("conversation-ended")
        await asyncio.wait_for(client.closed.wait(), 30)
        assert waiting.secs() < AT_ONCE_SECS
    assert (told["reason"], told["status"]) == (EndReason.USER_REQUEST, "completed")
    transcript = await ended(bot, opened.id, 1)
    assert [(m.role, m.interrupted) for m in transcript.messages] == [
        ("assistant", False),
        ("user", False),
        ("assistant", True),
    ]
    assert transcript.sessions[0].end_reason == EndReason.USER_REQUEST
    assert "ERROR" not in bot.logged()[logged:]
