"""`kill -9` in the middle of a conversation, and the start after it."""

import asyncio
import json
from pathlib import Path
from uuid import UUID

import pytest

from simulators.clients.bot_process import running_bot
from simulators.clients.report_hook import SECRET, Hook, report_hook
from simulators.clients.webrtc import page
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import ConversationStatus, EndReason

pytestmark = [pytest.mark.session, pytest.mark.slow]


async def test_a_killed_bot_loses_at_most_the_turn_in_progress(tmp_path: Path) -> None:
    async with report_hook() as hook:
        await _killed_and_started_again(tmp_path, hook)


async def _killed_and_started_again(tmp_path: Path, hook: Hook) -> None:
    told = {
        "SONORA_REPORT_URL": hook.url,
        "SONORA_REPORT_SECRET": SECRET,
        "SONORA_SUMMARY_SECS": "0.1",
        "SONORA_DRAIN_SECS": "0.1",
    }
    with running_bot(tmp_path, SONORA_WAITING_SECS="60", **told) as bot:
        async with page(bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id="ana")
            conversation_id = UUID(opened["data"]["d"]["conversation_id"])
            await client.event("node-changed", node="conversation")
            client.type_text("Esto ya está dicho.")
            await client.event("message-recorded", seq=3, timeout_secs=30)
            client.type_text("Y esto queda a medias.")
            await client.event("message-recorded", seq=4, timeout_secs=30)
            bot.kill()

    journal = await Journal.connect(tmp_path / "journal.db", read_only=True)
    killed = await journal.transcript(conversation_id)
    await journal.aclose()
    assert killed is not None
    assert killed.sessions[0].ended_at is None
    assert [m.content for m in killed.messages if m.role == "user"] == [
        "Esto ya está dicho.",
        "Y esto queda a medias.",
    ]

    assert hook.came == []
    with running_bot(tmp_path, **told) as bot:
        async with page(bot.url) as client:
            await client.ready()
        async with asyncio.timeout(20):
            await hook.taken.wait()
    # The same one may come again, when the bot is stopped before it has noted that it was taken.
    (report,) = {headers["webhook-id"]: json.loads(body) for headers, body in hook.came}.values()
    assert report["call"]["end_reason"] == "crashed"
    assert len(report["turns"]) == len(killed.messages)
    assert "a medias" not in str(report)
    journal = await Journal.connect(tmp_path / "journal.db", read_only=True)
    closed = await journal.transcript(conversation_id)
    await journal.aclose()
    assert closed is not None
    assert closed.sessions[0].end_reason is EndReason.CRASHED
    assert closed.sessions[0].ended_at == closed.messages[-1].created_at
    assert closed.conversation.status is ConversationStatus.FAILED
    assert closed.messages == killed.messages


async def test_a_bot_that_is_stopped_keeps_the_calls_it_holds(tmp_path: Path) -> None:
    with running_bot(tmp_path, SONORA_WAITING_SECS="60") as bot:
        async with page(bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id="ana")
            conversation_id = UUID(opened["data"]["d"]["conversation_id"])
            await client.event("message-recorded", seq=1)
            so_far = len(client.messages)
            client.type_text("Sigue hablando, por favor.")
            await client.wait_for(
                lambda message: message["type"] == "bot-started-speaking", after=so_far
            )
            await asyncio.to_thread(bot.stop)
            assert bot.process.returncode == 0

    journal = await Journal.connect(tmp_path / "journal.db", read_only=True)
    kept = await journal.transcript(conversation_id)
    await journal.aclose()
    assert kept is not None
    assert kept.sessions[0].end_reason in (EndReason.SHUTDOWN, EndReason.CLIENT_LEFT)
    assert [m.role for m in kept.messages][:2] == ["assistant", "user"]
    assert kept.messages[-1].interrupted or len(kept.messages) == 2
    assert kept.conversation.status is ConversationStatus.ABANDONED
    assert kept.conversation.summary
