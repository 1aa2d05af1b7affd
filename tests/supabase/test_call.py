"""Whole calls with Supabase behind the journal: kept there, and resumed from there."""

import asyncio
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sonora_app.conversation.journal import Journal
from sonora_app.conversation.store import Transcript
from sonora_app.conversation.supabase import SupabaseApi
from sonora_app.settings import Settings
from tests.clients.bot_process import running_bot
from tests.clients.webrtc import page
from tests.supabase.lite import Lite, running_lite

pytestmark = [pytest.mark.supabase, pytest.mark.slow]


async def stored(server: Lite, conversation_id: str) -> Transcript | None:
    api = await SupabaseApi.connect(
        Settings.model_validate(
            {"SUPABASE_URL": server.url, "SUPABASE_SECRET_KEY": server.secret_key}
        )
    )
    try:
        return await api.transcript(UUID(conversation_id))
    finally:
        await api.aclose()


async def test_a_call_is_kept_in_supabase_and_resumed_on_another_machine(tmp_path: Path) -> None:
    user = f"user-{uuid4()}"
    with running_lite() as server:
        environment = {
            "SUPABASE_URL": server.url,
            "SUPABASE_SECRET_KEY": server.secret_key,
            "SONORA_WAITING_SECS": "60",
        }
        with running_bot(tmp_path / "first", **environment) as bot:
            async with page(bot.url) as client:
                await client.ready()
                opened = await client.action("set_conversation_id", user_id=user)
                conversation_id = opened["data"]["d"]["conversation_id"]
                await client.event("node-changed", node="conversation")
                client.type_text("Mi perro se llama Canela.")
                recorded = await client.event("message-recorded", seq=2)
                await client.event("message-stored", id=recorded["id"])
                await client.event("message-recorded", seq=3, timeout_secs=30)
            deadline = time.monotonic() + 20
            while "is closed" not in bot.logged():
                assert time.monotonic() < deadline, bot.logged()
                await asyncio.sleep(0.1)
            assert server.secret_key not in bot.logged()
        first = await stored(server, conversation_id)
        assert first is not None
        assert [m.role for m in first.messages] == ["assistant", "user", "assistant"]
        assert first.conversation.user_id == user
        assert first.conversation.summary
        assert first.sessions[0].ended_at is not None
        assert [t.trigger for t in first.transitions] == [
            "set_conversation_id",
            "greeting_finished",
        ]

        # Another machine, with a journal that knows nothing.
        with running_bot(tmp_path / "second", **environment) as bot:
            async with page(bot.url) as client:
                await client.ready()
                refusal = await client.action(
                    "set_conversation_id", user_id="thief", conversation_id=conversation_id
                )
                assert refusal["data"]["code"] == "conversation_refused"
                journal = await Journal.connect(tmp_path / "second/journal.db", read_only=True)
                assert await journal.transcript(UUID(conversation_id)) is None
                await journal.aclose()
                again = await client.action(
                    "set_conversation_id", user_id=user, conversation_id=conversation_id
                )
                assert again["data"]["d"]["resumed"] is True
                await client.event("message-recorded", seq=4, timeout_secs=30)
                await client.event("node-changed", node="conversation")

            server.stop()
            # Supabase is down: a new conversation goes on all the same, and the page is told.
            async with page(bot.url) as client:
                await client.ready()
                unknown = await client.action(
                    "set_conversation_id", user_id=user, conversation_id=str(uuid4())
                )
                assert unknown["data"]["code"] == "storage_unavailable"
                await client.action("set_conversation_id", user_id=user)
                await client.event("message-recorded", seq=1, timeout_secs=30)
                await client.event("storage", state="delayed", timeout_secs=30)
