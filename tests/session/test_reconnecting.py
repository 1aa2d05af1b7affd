"""A page that connects anew while the bot speaks, and sound that can no longer be sent."""

import asyncio
import time
from pathlib import Path
from uuid import UUID

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import Page, page
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from sonora_app.storage.records import EndReason
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session

ES = Lines(Language.ES)
BACK_SECS = 2.0
"""How long after the new connection is there the bot may take to be heard."""


async def in_mid_sentence(client: Page) -> UUID:
    await client.ready()
    opened = await client.action("set_conversation_id", user_id="ana")
    await client.event("node-changed", node="conversation", timeout_secs=30)
    await client.silence(0.6)
    so_far = len(client.messages)
    client.type_text("Cuéntame algo.")
    await client.wait_for(
        lambda message: message["type"] == "bot-started-speaking", after=so_far, timeout_secs=30
    )
    await asyncio.sleep(1.0)
    return UUID(opened["data"]["d"]["conversation_id"])


async def test_a_page_that_connects_anew_hears_the_bot_and_keeps_only_what_was_heard(
    bot: BotProcess,
) -> None:
    async with page(bot.url) as client:
        conversation_id = await in_mid_sentence(client)
        await client.reconnect()
        back_at = time.monotonic()
        heard_at = await client.sound(since=back_at)
        assert heard_at - back_at < BACK_SECS
        await client.silence(0.6)
        again_at = time.monotonic()
        client.type_text("¿Y qué más?")
        await client.sound(since=again_at)
        await client.silence(0.6)
    transcript = await transcript_of(bot, conversation_id)
    said = [(m.role, m.interrupted, m.content or "") for m in transcript.messages]
    assert [role for role, _, _ in said[:5]] == [
        "assistant",
        "user",
        "assistant",
        "assistant",
        "user",
    ]
    whole = ES.text("rehearsal.first", {"echo": "·"})
    _, was_cut, cut = said[2]
    assert was_cut
    assert len(cut) < len(whole)
    assert said[3][2] == ES.text("still_here")
    assert len(transcript.sessions) == 1
    assert "can no longer do its job" not in bot.logged()


async def test_a_clock_set_back_ends_the_call_with_a_reason(tmp_path: Path) -> None:
    flag = tmp_path / "back"
    with running_bot(
        tmp_path, program="tests/session/clock_bot.py", CLOCK_FILE=str(flag)
    ) as process:
        async with page(process.url) as client:
            conversation_id = await in_mid_sentence(client)
            flag.touch()
            ended = await client.event("conversation-ended", timeout_secs=15)
            assert ended["reason"] == EndReason.ERROR
        async with asyncio.timeout(20):
            transcript = await transcript_of(process, conversation_id)
            while transcript.sessions[0].ended_at is None:
                await asyncio.sleep(0.1)
                transcript = await transcript_of(process, conversation_id)
        assert [session.end_reason for session in transcript.sessions] == [EndReason.ERROR]
