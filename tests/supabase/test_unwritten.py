"""While the journal takes nothing, what is said goes to Supabase past it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sonora_app.call.beginning.opening import OpenedConversation, open_conversation
from sonora_app.page.protocol import SetConversationId
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import EndReason, Message, Record, Role
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore
from tests.full_disk import fill_up, free_space
from tests.supabase.lite import Lite
from tests.supabase.proxy import FaultProxy
from tests.supabase.test_shipper_faults import connected
from tests.unit.test_unwritten import remove

pytestmark = pytest.mark.supabase

LONG = "palabra " * 2_000
NOBODY_KNOWS: Callable[..., None] = lambda *_: None  # noqa: E731


@pytest.fixture
async def proxy(lite: Lite) -> AsyncGenerator[FaultProxy]:
    async with FaultProxy(lite.url) as proxy:
        yield proxy


@pytest.fixture
async def api(lite: Lite) -> AsyncGenerator[SupabaseApi]:
    """What the test itself asks with: the store's own belongs to the store's loop."""
    async with connected(lite.url, lite) as api:
        yield api


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    yield journal
    await journal.aclose()


@pytest.fixture
async def store(journal: Journal, proxy: FaultProxy, lite: Lite) -> AsyncGenerator[MirroredStore]:
    async with connected(proxy.url, lite) as api:
        store = MirroredStore(journal, api, keep=None)
        yield store
        await store.aclose()


async def begin(store: MirroredStore, conversation_id: UUID, user_id: str) -> OpenedConversation:
    claim = SetConversationId(conversation_id=conversation_id, user_id=user_id)
    found = await store.look_up(conversation_id, user_id, message_limit=40, deadline_secs=5)
    settings = Settings.model_validate({})
    return open_conversation(
        claim,
        found,
        settings=settings,
        transport="test",
        app_version="1",
        returnable=["conversation"],
    )


def words(transcript: Transcript | None) -> list[str | None]:
    return [message.content for message in transcript.messages] if transcript else []


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def test_what_a_full_disk_does_not_take_is_in_supabase_when_the_call_ends(
    store: MirroredStore, journal: Journal, api: SupabaseApi
) -> None:
    opened = await begin(store, uuid4(), f"user-{uuid4()}")
    written: list[Record] = []
    recorder = store.recorder(opened, on_written=written.append, on_health=NOBODY_KNOWS)
    said = [f"{number} {LONG}" for number in range(4)]
    recorder.message(Role.USER, said[0], node="conversation")
    await until(lambda: not recorder.pending)
    await fill_up(journal)
    for one in said[1:]:
        recorder.message(Role.USER, one, node="conversation")
    recorder.describe(title="Una charla", summary=LONG)
    recorder.end(EndReason.GOODBYE, metrics={"turns": 4})
    assert await recorder.aclose(timeout_secs=8) == 0
    there = await api.transcript(opened.conversation_id)
    assert there is not None
    assert words(there) == said
    assert there.conversation.summary == LONG
    assert there.sessions[0].end_reason == EndReason.GOODBYE
    assert words(await journal.transcript(opened.conversation_id)) == said[:1]
    assert [one.content for one in written if isinstance(one, Message)] == said
    # With space again the journal gets it too, and nothing is there twice.
    await free_space(journal)
    async with asyncio.timeout(30):
        while words(await journal.transcript(opened.conversation_id)) != said:
            await asyncio.sleep(0.05)
    assert await store.settle(timeout_secs=10) == 0
    assert await api.transcript(opened.conversation_id) == there
    assert (await journal.outbox.counts()).set_aside == 0


async def test_nothing_is_lost_when_neither_takes_anything_for_a_while(
    store: MirroredStore, journal: Journal, api: SupabaseApi, proxy: FaultProxy
) -> None:
    opened = await begin(store, uuid4(), f"user-{uuid4()}")
    recorder = store.recorder(opened, on_written=NOBODY_KNOWS, on_health=NOBODY_KNOWS)
    await until(lambda: not recorder.pending)
    await proxy.stop()
    await fill_up(journal)
    said = [f"{number} {LONG}" for number in range(4)]
    for one in said:
        recorder.message(Role.USER, one, node="conversation")
    assert await recorder.aclose(timeout_secs=1) == len(said)
    await proxy.start()
    async with asyncio.timeout(30):
        while words(await api.transcript(opened.conversation_id)) != said:
            await asyncio.sleep(0.1)
    assert words(await journal.transcript(opened.conversation_id)) == []


async def test_a_call_whose_place_is_not_known_waits_for_the_journal(
    store: MirroredStore, journal: Journal, api: SupabaseApi, proxy: FaultProxy
) -> None:
    await proxy.stop()
    asked_for = uuid4()
    opened = await begin(store, asked_for, f"user-{uuid4()}")
    assert opened.conversation_id != asked_for
    await proxy.start()
    await fill_up(journal)
    recorder = store.recorder(opened, on_written=NOBODY_KNOWS, on_health=NOBODY_KNOWS)
    recorder.message(Role.USER, LONG, node="conversation")
    assert await recorder.aclose(timeout_secs=3) > 0
    await free_space(journal)
    async with asyncio.timeout(30):
        while words(await api.transcript(asked_for)) != [LONG]:
            await asyncio.sleep(0.1)


async def test_a_journal_that_is_deleted_loses_nothing_that_supabase_has(
    store: MirroredStore, journal: Journal, api: SupabaseApi, tmp_path: Path
) -> None:
    user_id = f"user-{uuid4()}"
    opened = await begin(store, uuid4(), user_id)
    recorder = store.recorder(opened, on_written=NOBODY_KNOWS, on_health=NOBODY_KNOWS)
    recorder.transition("greeting", "conversation", trigger="greeting_finished", arguments={})
    said = [f"{number}" for number in range(6)]
    for number, one in enumerate(said):
        if number == 3:
            assert await store.settle(timeout_secs=10) == 0
            remove(tmp_path / "journal.db", "all its files")
        recorder.message(Role.USER, one, node="conversation")
        await until(lambda: not recorder.pending)
    # Whoever comes back meanwhile is put back where Supabase says that the talk is.
    put_back = [await begin(store, opened.conversation_id, user_id)]
    recorder.end(EndReason.SHUTDOWN, metrics={})
    assert await recorder.aclose(timeout_secs=5) == 0
    assert await store.settle(timeout_secs=10) == 0
    there = await api.transcript(opened.conversation_id)
    assert words(there) == said
    assert words(await store.transcript(opened.conversation_id)) == said
    assert (await journal.outbox.counts()).set_aside == 0
    # Likewise where nothing of the talk was ever in this journal.
    remove(tmp_path / "journal.db", "all its files")
    put_back.append(await begin(store, opened.conversation_id, user_id))
    for again in put_back:
        assert again.back is not None
        assert again.back.node == "conversation"
        assert [message["content"] for message in again.history[-3:]] == said[-3:]
        assert again.last_message_seq >= len(said)
