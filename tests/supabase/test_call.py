"""Whole calls with Supabase behind the journal: kept there, and resumed from there."""

import asyncio
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import page
from simulators.vendors.openai import OpenAIVendor, Reply
from sonora_app.storage.journal.journal import Journal
from tests.supabase.lite import running_lite
from tests.supabase.proxy import HEALTHY, STALLED, FaultProxy
from tests.supabase.stored import stored
from tests.supabase.test_provisional import there_already

pytestmark = [pytest.mark.supabase, pytest.mark.slow]


async def closed(bot: BotProcess, calls: int) -> None:
    """Wait until so many calls are over and kept."""
    deadline = time.monotonic() + 60
    while bot.logged().count("is closed") < calls:
        assert time.monotonic() < deadline, bot.logged()
        await asyncio.sleep(0.1)


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
            await closed(bot, 1)
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
                await client.action("set_conversation_id", user_id=user)
                await client.event("message-recorded", seq=1, timeout_secs=30)
                await client.event("storage", state="delayed", timeout_secs=30)


async def test_a_call_whose_history_cannot_be_read_in_time(tmp_path: Path) -> None:
    """It starts without it, gets it when it comes, and a stranger gets nothing of it."""
    ana, thief = f"ana-{uuid4()}", f"thief-{uuid4()}"
    model = OpenAIVendor(f"sk-{uuid4()}")
    model.model = lambda request: Reply("Claro." if request.body.get("stream") else "{}")
    with running_lite() as server:
        asked_for = str(await there_already(server, ana, "Mi perro se llama Canela."))
        async with FaultProxy(server.url) as proxy, model.serving():
            environment = {
                "SUPABASE_URL": proxy.url,
                "SUPABASE_SECRET_KEY": server.secret_key,
                "OPENAI_API_KEY": model.key,
                "OPENAI_BASE_URL": model.url,
                "SONORA_SUPABASE_TIMEOUT_SECS": "1",
                "SONORA_HISTORY_SECS": "0.3",
                "SONORA_DRAIN_SECS": "1",
            }
            with running_bot(tmp_path, **environment) as bot:
                proxy.always(STALLED)
                async with page(bot.url) as client, page(bot.url) as stranger:
                    for each, user in ((client, ana), (stranger, thief)):
                        await each.ready()
                        answer = await each.action(
                            "set_conversation_id", user_id=user, conversation_id=asked_for
                        )
                        opened = answer["data"]["d"]
                        assert opened["conversation_id"] == asked_for
                        assert (opened["history"], opened["resumed"]) == ("delayed", False)
                        await each.event("node-changed", node="conversation", timeout_secs=30)
                        each.type_text(f"Soy {user}.")
                        await each.event("message-recorded", seq=3, timeout_secs=30)
                    assert "Canela" not in str(model.bodies)
                    # Asked again, it answers the same.
                    repeated = await client.action(
                        "set_conversation_id", user_id=ana, conversation_id=asked_for
                    )
                    assert repeated["data"]["d"]["session_id"]

                    proxy.always(HEALTHY)
                    loaded = await client.event("history-loaded", timeout_secs=40)
                    assert loaded["messages"] == 1
                    notice = await stranger.event("notice", code="conversation_refused")
                    assert "se guarda como una nueva" in notice["message"]
                    apart = await stranger.event("conversation-opened")
                    assert apart["conversation_id"] != asked_for
                    for each in (client, stranger):
                        each.type_text("¿Cómo se llama mi perro?")
                        await each.event("message-recorded", seq=5, timeout_secs=30)
                    asked = {
                        user: [body["messages"] for body in model.bodies if user in str(body)][-1]
                        for user in (ana, thief)
                    }
                    said = [one["content"] for one in asked[ana] if one["role"] == "user"]
                    assert said == [
                        "Mi perro se llama Canela.",
                        f"Soy {ana}.",
                        "¿Cómo se llama mi perro?",
                    ]
                    assert "Canela" not in str(asked[thief])
                    last = client.events("message-recorded")[-1]["id"]
                    await client.event("message-stored", id=last, timeout_secs=30)
                await closed(bot, 2)

        mine, theirs = [
            await stored(server, each) for each in (asked_for, apart["conversation_id"])
        ]
        assert mine is not None
        assert theirs is not None
        assert [m.content for m in mine.messages if m.role == "user"] == said
        assert (mine.conversation.user_id, theirs.conversation.user_id) == (ana, thief)
        assert len(mine.sessions) == len(theirs.sessions) == 1
        assert "Canela" not in str(theirs)
