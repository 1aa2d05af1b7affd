"""The last resort of a call whose records do not reach Supabase: its process's log."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.logged import logged
from simulators.clients.webrtc import page
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.supabase.unshipped import UnshippedLog, read_unshipped
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite
from tests.supabase.proxy import HEALTHY, STALLED, FaultProxy
from tests.supabase.test_shipper_faults import Talk, connected

pytestmark = pytest.mark.supabase


def unshipped(lines: list[str]) -> list[Entry]:
    return list(read_unshipped(lines))


def words(entries: list[Entry]) -> list[str]:
    return [str(e.payload["content"]) for e in entries if e.table == "messages"]


async def test_only_what_did_not_get_there_in_time_is_logged_and_once(
    tmp_path: Path, lite: Lite
) -> None:
    talk = Talk()
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    async with FaultProxy(lite.url) as proxy, connected(proxy.url, lite, 5) as api:
        store = MirroredStore(journal, api, keep=None, unshipped=UnshippedLog(journal))

        async def call(timeout_secs: float) -> list[str]:
            with logged() as lines:
                for batch in talk.call(2):
                    await store.write(batch)
                await store.settle(timeout_secs=timeout_secs)
            return words(unshipped(lines))

        assert await call(30) == []
        proxy.always(STALLED)
        assert await call(0.3) == ["¿3? ☃ \ufffd", "¿4? ☃ \ufffd"]
        assert await call(0.3) == ["¿5? ☃ \ufffd", "¿6? ☃ \ufffd"]
        with logged() as lines:
            await store.aclose()
        assert unshipped(lines) == []


async def test_without_the_setting_nothing_that_was_said_is_logged(
    tmp_path: Path, lite: Lite
) -> None:
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    async with FaultProxy(lite.url) as proxy, connected(proxy.url, lite, 0.3) as api:
        proxy.always(STALLED)
        store = MirroredStore(journal, api, keep=None)
        with logged() as lines:
            for batch in Talk().call(2):
                await store.write(batch)
            assert await store.settle(timeout_secs=1) > 0
            await store.aclose()
    assert "☃" not in "".join(lines)


@pytest.mark.slow
async def test_two_calls_that_supabase_never_heard_of_come_back_from_the_log(
    tmp_path: Path, lite: Lite
) -> None:
    async with FaultProxy(lite.url) as proxy:
        proxy.always(STALLED)
        environment = {
            "SUPABASE_URL": proxy.url,
            "SUPABASE_SECRET_KEY": lite.secret_key,
            "SONORA_SUPABASE_TIMEOUT_SECS": "0.5",
            "SONORA_DRAIN_SECS": "1",
            "SONORA_LOG_UNSHIPPED": "True",
        }
        with running_bot(tmp_path, **environment) as bot:
            await hold_call(bot, 1)
            await hold_call(bot, 2)
        # Both calls, and nothing twice though the process ended after them.
        entries = unshipped(bot.logged().splitlines())
        said = words(entries)
        assert said.count("Mi perro se llama Canela, 1.") == 1
        assert said.count("Mi perro se llama Canela, 2.") == 1
        inserts = Counter(e.row_id for e in entries if e.operation == "insert")
        assert set(inserts.values()) == {1}
        assert lite.secret_key not in bot.logged()

        proxy.always(HEALTHY)
        async with connected(proxy.url, lite) as api:
            for entry in entries:
                assert await api.apply([entry]) == (None,)
            journal = await Journal.connect(tmp_path / "journal.db", read_only=True)
            listings = await journal.conversations()
            assert len(listings) == 2
            for listing in listings:
                here = await journal.transcript(listing.conversation.id)
                assert here is not None
                assert here == await api.transcript(listing.conversation.id)
                assert here.sessions[0].ended_at is not None
            await journal.aclose()


async def hold_call(bot: BotProcess, number: int) -> None:
    async with page(bot.url) as client:
        await client.ready()
        await client.action("set_conversation_id", user_id=f"ana-{number}")
        await client.event("node-changed", node="conversation")
        client.type_text(f"Mi perro se llama Canela, {number}.")
        await client.event("message-recorded", seq=3, timeout_secs=30)
    deadline = time.monotonic() + 60
    while bot.logged().count("is closed") < number:
        assert time.monotonic() < deadline, bot.logged()
        await asyncio.sleep(0.1)
