"""SIGTERM and SIGINT with a call open, in each way that the bot is run."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ChatRequest, Reply
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import ConversationStatus, EndReason
from sonora_app.storage.store import Transcript
from tests.session.talking import bot_with_keys, guide, serving_vendors

pytestmark = [pytest.mark.session, pytest.mark.slow]

DRAIN_SECS = 3.0
A_LITTLE_SECS = 2.0
TYPED = "Sigue hablando, por favor."


async def stopped(bot: BotProcess, number: signal.Signals) -> float:
    """Send the bot a signal; returns how long it took to be gone, in seconds, but for the time in
    which there was no processor for it.
    """
    waiting = Waiting(bot)
    bot.process.send_signal(number)
    gone = asyncio.create_task(asyncio.to_thread(bot.process.wait, 60))
    # Once it is gone, nobody can tell any more how long it had no processor.
    while not (await asyncio.wait([gone], timeout=0.05))[0]:
        waiting.secs()
    await gone
    return waiting.secs()


async def told_of_the_end(bot: BotProcess, client: Page) -> dict[str, Any]:
    """Be told at once that the call is over."""
    waiting = Waiting(bot)
    told = await client.event("conversation-ended", timeout_secs=30)
    assert waiting.secs() < A_LITTLE_SECS
    return told


async def noticed(bot: BotProcess) -> None:
    """Wait until a bot has noticed a signal, and takes no other call."""
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=bot.url) as http:
        while (await http.post("/start", json={"transport": "webrtc"})).status_code != 503:
            await asyncio.sleep(0.05)


async def in_mid_sentence(client: Page) -> UUID:
    """Open a conversation and type; returns its id once the bot speaks the answer."""
    await client.ready()
    opened = await client.action("set_conversation_id", user_id="ana")
    await client.event("message-recorded", seq=1, timeout_secs=30)
    so_far = len(client.messages)
    client.type_text(TYPED)
    await client.wait_for(
        lambda message: message["type"] == "bot-started-speaking", after=so_far, timeout_secs=30
    )
    return UUID(opened["data"]["d"]["conversation_id"])


async def kept(folder: Path, conversation_id: UUID) -> Transcript:
    journal = await Journal.connect(folder / "journal.db", read_only=True)
    transcript = await journal.transcript(conversation_id)
    await journal.aclose()
    assert transcript is not None
    return transcript


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["bot.py", "tests/session/cloud_base.py"])
async def test_a_signal_ends_the_call_and_tells_the_page(
    tmp_path: Path, program: str, number: signal.Signals
) -> None:
    with running_bot(
        tmp_path, program=program, SONORA_WAITING_SECS="60", SONORA_DRAIN_SECS=str(DRAIN_SECS)
    ) as bot:
        async with page(bot.url) as client:
            conversation_id = await in_mid_sentence(client)
            stopping = asyncio.create_task(stopped(bot, number))
            told = await told_of_the_end(bot, client)
            took = await stopping

    assert told["reason"] == EndReason.SHUTDOWN
    assert told["status"] == ConversationStatus.ABANDONED
    assert took < DRAIN_SECS + A_LITTLE_SECS
    transcript = await kept(tmp_path, conversation_id)
    assert transcript.sessions[0].end_reason is EndReason.SHUTDOWN
    assert transcript.sessions[0].ended_at is not None
    assert [m.role for m in transcript.messages][:2] == ["assistant", "user"]
    assert transcript.messages[1].content == TYPED
    assert transcript.conversation.summary


async def test_a_call_that_waits_for_its_conversation_is_told_too(tmp_path: Path) -> None:
    with running_bot(tmp_path, SONORA_WAITING_SECS="60", SONORA_DRAIN_SECS=str(DRAIN_SECS)) as bot:
        async with page(bot.url) as client:
            await client.ready()
            stopping = asyncio.create_task(stopped(bot, signal.SIGTERM))
            told = await told_of_the_end(bot, client)
            took = await stopping

    assert told["reason"] == EndReason.SHUTDOWN
    assert took < DRAIN_SECS + A_LITTLE_SECS


async def test_a_summary_that_hangs_does_not_hold_the_process(tmp_path: Path) -> None:
    def hangs_after_the_call(request: ChatRequest) -> Reply:
        if not request.body["stream"]:
            return Reply("{}", headers_secs=60)
        return guide(request)

    async with serving_vendors() as vendors:
        vendors.openai.model = hangs_after_the_call
        with bot_with_keys(
            tmp_path,
            vendors,
            SONORA_DRAIN_SECS=str(DRAIN_SECS),
            SONORA_SUMMARY_SECS="30",
        ) as bot:
            async with page(bot.url) as client:
                conversation_id = await in_mid_sentence(client)
                took = await stopped(bot, signal.SIGTERM)

    assert took < DRAIN_SECS + A_LITTLE_SECS
    transcript = await kept(tmp_path, conversation_id)
    assert transcript.sessions[0].end_reason is EndReason.SHUTDOWN
    assert transcript.messages[1].content == TYPED


async def test_a_process_without_a_call_is_gone_at_once(tmp_path: Path) -> None:
    with running_bot(tmp_path) as bot:
        assert await stopped(bot, signal.SIGTERM) < A_LITTLE_SECS


async def test_a_process_that_hangs_is_ended_by_force(tmp_path: Path) -> None:
    program = "tests/session/hanging_bot.py"
    with running_bot(tmp_path, program=program, SONORA_DRAIN_SECS="0.5") as bot:
        async with asyncio.timeout(30):
            client = Page()
            connecting = asyncio.create_task(client.connect(bot.url))
            while "HANGING" not in bot.logged():
                await asyncio.sleep(0.1)
        took = await stopped(bot, signal.SIGTERM)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await client.hang_up()

    assert bot.process.returncode == 1
    assert took < 10
    assert "ended by force" in bot.logged()


async def test_calls_go_on_for_a_while_and_no_other_is_taken(tmp_path: Path) -> None:
    with running_bot(
        tmp_path,
        SONORA_WAITING_SECS="60",
        SONORA_HANDOVER_SECS="10",
        SONORA_DRAIN_SECS=str(DRAIN_SECS),
    ) as bot:
        async with page(bot.url) as client, httpx.AsyncClient(base_url=bot.url) as http:
            conversation_id = await in_mid_sentence(client)
            sent_at = time.monotonic()
            stopping = asyncio.create_task(stopped(bot, signal.SIGTERM))
            await noticed(bot)
            refused = [
                await http.post("/start", json={"transport": "webrtc"}),
                await http.post("/api/offer", json={"sdp": "v=0", "type": "offer"}),
            ]
            # The call that goes on is still answered.
            so_far = len(client.messages)
            client.type_text("¿Sigues ahí?")
            await client.event("message-recorded", after=so_far, timeout_secs=30)
            assert not client.events("conversation-ended")
            told = await client.event("conversation-ended", timeout_secs=30)
            lasted_secs = time.monotonic() - sent_at
            took = await stopping

    assert [answer.status_code for answer in refused] == [503, 503]
    assert [answer.json()["code"] for answer in refused] == ["at_capacity"] * 2
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert told["reason"] == EndReason.SHUTDOWN
    assert lasted_secs > 9
    assert took < 10 + DRAIN_SECS + A_LITTLE_SECS
    transcript = await kept(tmp_path, conversation_id)
    assert "¿Sigues ahí?" in [m.content for m in transcript.messages]


async def test_a_process_whose_last_call_has_ended_does_not_wait_longer(tmp_path: Path) -> None:
    with running_bot(tmp_path, SONORA_WAITING_SECS="60", SONORA_HANDOVER_SECS="60") as bot:
        async with page(bot.url) as client:
            await in_mid_sentence(client)
            stopping = asyncio.create_task(stopped(bot, signal.SIGTERM))
            await noticed(bot)
            assert not stopping.done()
        assert await stopping < 20


async def test_a_second_signal_ends_the_calls_at_once(tmp_path: Path) -> None:
    with running_bot(
        tmp_path,
        SONORA_WAITING_SECS="60",
        SONORA_HANDOVER_SECS="60",
        SONORA_DRAIN_SECS=str(DRAIN_SECS),
    ) as bot:
        async with page(bot.url) as client:
            await in_mid_sentence(client)
            bot.process.send_signal(signal.SIGTERM)
            await noticed(bot)
            stopping = asyncio.create_task(stopped(bot, signal.SIGTERM))
            told = await told_of_the_end(bot, client)
            took = await stopping

    assert told["reason"] == EndReason.SHUTDOWN
    assert took < DRAIN_SECS + A_LITTLE_SECS
