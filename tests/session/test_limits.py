"""The clocks of a call: silence, the longest it may last, and waiting for a conversation."""

import asyncio
import time
from collections.abc import Generator
from uuid import uuid4

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import page
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from tests.session.conftest import transcript_of

pytestmark = [pytest.mark.session, pytest.mark.slow]

ES = Lines(Language.ES)


@pytest.fixture(scope="module")
def hasty_bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot that waits for nobody for long."""
    with running_bot(
        tmp_path_factory.mktemp("hasty"),
        # Longer than it waits for a page to be ready, before it opens what the request names.
        SONORA_WAITING_SECS="4",
        SONORA_IDLE_SECS="2",
        SONORA_CLOSING_SECS="15",
    ) as process:
        yield process


async def test_silence_is_nudged_twice_and_then_the_call_is_wound_up(
    hasty_bot: BotProcess,
) -> None:
    async with page(hasty_bot.url, body={"user_id": f"u{uuid4()}"}) as client:
        await client.ready()
        opened = await client.event("conversation-opened")
        ended = await client.event("conversation-ended", timeout_secs=60)
        assert ended["reason"] == "user_idle"
        await asyncio.wait_for(client.closed.wait(), 30)
    transcript = await transcript_of(hasty_bot, opened["conversation_id"])
    said = [m.content for m in transcript.messages]
    assert tuple(said[1:3]) == ES.all("nudge")
    assert said[-1] == ES.text("farewell.user_idle")
    assert [(t.to_node, t.arguments["cause"]) for t in transcript.transitions][2:] == [
        ("wrap_up", "user_idle"),
        ("farewell", "user_idle"),
    ]


async def test_a_word_from_the_user_starts_the_silence_anew(hasty_bot: BotProcess) -> None:
    async with page(hasty_bot.url, body={"user_id": f"u{uuid4()}"}) as client:
        await client.ready()
        opened = await client.event("conversation-opened")
        await client.event("message-recorded", seq=2, timeout_secs=30)  # the first nudge
        client.type_text("Sí, estoy pensando.", audio_response=False)
        typed_at = time.monotonic()
        await client.event("message-recorded", seq=4)
        await client.event("message-recorded", seq=5, timeout_secs=30)  # a first nudge again
        assert time.monotonic() - typed_at > 2
        await client.event("message-recorded", seq=6, timeout_secs=30)
    transcript = await transcript_of(hasty_bot, opened["conversation_id"])
    assert tuple(m.content for m in transcript.messages[4:6]) == ES.all("nudge")


async def test_a_fresh_conversation_opens_when_no_page_names_one(hasty_bot: BotProcess) -> None:
    async with page(hasty_bot.url) as client:
        await client.ready()
        opened = await client.event("conversation-opened")
        assert opened["resumed"] is False
        await client.sound(since=0)
        late = await client.action("set_conversation_id", user_id="local")
        assert late["data"]["d"]["conversation_id"] == opened["conversation_id"]
    transcript = await transcript_of(hasty_bot, opened["conversation_id"])
    assert transcript.conversation.user_id == "local"
    assert transcript.transitions[0].arguments == {"cause": "waiting_limit", "user_id": "local"}


async def test_a_start_request_that_cannot_be_opened_leaves_the_call_waiting(
    hasty_bot: BotProcess,
) -> None:
    async with page(hasty_bot.url, body={"user_id": f"u{uuid4()}"}) as client:
        await client.ready()
        opened = await client.event("conversation-opened")
        conversation_id = opened["conversation_id"]
        await client.event("message-recorded", seq=1)
    body = {"conversation_id": conversation_id, "user_id": "somebody-else"}
    async with page(hasty_bot.url, body=body) as client:
        await client.ready()
        assert (await client.event("notice"))["code"] == "conversation_refused"
        fresh = await client.event("conversation-opened")
        assert fresh["conversation_id"] != conversation_id


async def test_a_call_has_a_longest_length_and_says_so_before(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_bot(
        tmp_path_factory.mktemp("short"),
        SONORA_MAX_CALL_SECS="12",
        SONORA_CALL_WARNING_SECS="5",
        SONORA_CLOSING_SECS="12",
        SONORA_IDLE_SECS="0",
    ) as bot:
        async with page(bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id="ana")
            ended = await client.event("conversation-ended", timeout_secs=60)
            assert ended["reason"] == "time_limit"
            await asyncio.wait_for(client.closed.wait(), 30)
        transcript = await transcript_of(bot, opened["data"]["d"]["conversation_id"])
    said = [m.content for m in transcript.messages]
    assert said[1] == ES.text("time_warning")
    assert said[-1] == ES.text("farewell.time_limit")
    assert transcript.transitions[-1].arguments == {"cause": "time_limit"}


async def test_without_a_conversation_a_deployment_says_so_and_hangs_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # A deployment has keys. These are refused by nobody: the line is spoken by the stand-in.
    with running_bot(
        tmp_path_factory.mktemp("cloud"),
        program="tests/session/deployed_bot.py",
        SONORA_WAITING_SECS="1",
        SONORA_CLOSING_SECS="15",
    ) as bot:
        async with page(bot.url) as client:
            await client.ready()
            await client.event("node-changed", node="farewell", trigger="give_up_waiting")
            await client.sound(since=0)
            ended = await client.event("conversation-ended", timeout_secs=30)
            assert ended["reason"] == "no_conversation"
            await asyncio.wait_for(client.closed.wait(), 30)
