"""What the bot's store gives to read is what Supabase and the journal have together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Message, utc_now
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite
from tests.supabase.proxy import FaultProxy
from tests.supabase.test_shipper_faults import Talk, connected

pytestmark = pytest.mark.supabase


@asynccontextmanager
async def mirrored(path: Path, api: SupabaseApi) -> AsyncGenerator[MirroredStore]:
    store = MirroredStore(await Journal.connect(path, outbox=True), api, keep=None)
    try:
        yield store
    finally:
        await store.aclose()


async def test_it_is_the_same_whoever_has_it(lite: Lite, tmp_path: Path) -> None:
    talk = Talk()
    first, *rest = talk.call(2)
    chat = {
        "conversation_id": str(talk.conversation.id),
        "role": "agent",
        "content": "Por escrito",
        "created_at": (utc_now() + timedelta(hours=1)).isoformat(),
    }
    path = tmp_path / "journal.db"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        await store.write(first)
        assert await store.settle(timeout_secs=10) == 0
    async with connected(lite.url, lite) as api:
        await api.rows(lambda client: client.table("messages").insert(chat))

    holding = await Journal.connect(path, outbox=True)
    assert holding.outbox.claim(), "so that nothing more is shipped"
    async with (
        FaultProxy(lite.url) as proxy,
        connected(proxy.url, lite) as api,
        mirrored(path, api) as store,
    ):
        await store.write([record for batch in rest for record in batch])
        whole = await store.transcript(talk.conversation.id)
        await proxy.stop()
        here = await store.transcript(talk.conversation.id)
        listed = await store.conversations(user_id=talk.conversation.user_id)
    await holding.aclose()

    assert whole is not None
    assert here is not None
    said = [message.content for message in here.messages]
    assert len(said) == 2
    assert [message.content for message in whole.messages] == [*said, "Por escrito"]
    assert [each.conversation.id for each in listed] == [talk.conversation.id]


async def test_the_last_that_was_said_is_that_of_both(lite: Lite, tmp_path: Path) -> None:
    """So that what is said now comes after it, whatever has not been shipped yet."""
    talk = Talk()
    first, *rest = talk.call(2)
    path = tmp_path / "journal.db"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        await store.write(first)
        assert await store.settle(timeout_secs=10) == 0
    holding = await Journal.connect(path, outbox=True)
    assert holding.outbox.claim(), "so that nothing more is shipped"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        records = [record for batch in rest for record in batch]
        await store.write(records)
        said = [record.created_at for record in records if isinstance(record, Message)]
        conversation = talk.conversation
        found = await store.look_up(conversation.id, str(conversation.user_id), message_limit=10)
    await holding.aclose()
    assert found.complete
    assert found.opening is not None
    assert found.opening.conversation.last_message_at == max(said)
