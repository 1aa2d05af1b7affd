"""What a call's recorder writes while Supabase is away, and while the clock steps back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sonora_app.call.beginning import opening
from sonora_app.call.beginning.opening import OpeningRequest, open_conversation
from sonora_app.settings import Settings
from sonora_app.storage import recorder
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import EndReason, Role, utc_now
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite
from tests.supabase.proxy import FaultProxy
from tests.supabase.test_shipper_faults import connected

pytestmark = pytest.mark.supabase

# A message every five seconds.
DAY = 24 * 60 * 60 // 5
STATM = Path("/proc/self/statm")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    opened = await Journal.connect(tmp_path / "journal.db", outbox=True)
    yield opened
    await opened.aclose()


@asynccontextmanager
async def mirrored(journal: Journal, api: SupabaseApi) -> AsyncGenerator[MirroredStore]:
    store = MirroredStore(journal, api, keep=None)
    try:
        yield store
    finally:
        await store.aclose()


async def begin_call(store: MirroredStore, conversation_id: UUID, user_id: str) -> Recorder:
    request = OpeningRequest(conversation_id, user_id)
    found = await store.look_up(conversation_id, user_id, message_limit=40)
    settings = Settings.model_validate({})
    opened = open_conversation(request, found, settings=settings, transport="test", app_version="1")
    return store.recorder(opened, on_written=lambda _: None, on_health=lambda *_: None)


def resident_bytes() -> int:
    """What this process holds in memory: proc(5), statm, the second field, in pages."""
    return int(STATM.read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="needs Linux's /proc")
async def test_a_day_without_supabase_takes_no_memory(journal: Journal, lite: Lite) -> None:
    held: list[int] = []
    async with (
        FaultProxy(lite.url) as proxy,
        connected(proxy.url, lite) as api,
        mirrored(journal, api) as store,
    ):
        call = await begin_call(store, uuid4(), f"user-{uuid4()}")
        await proxy.stop()
        for hour in range(24):
            for number in range(DAY // 24):
                call.message(Role.USER, f"{hour}:{number} " + "palabra " * 30, node="conversation")
            while call.pending:
                await asyncio.sleep(0.01)
            # An attempt is made, even where the circuit is open.
            await store.settle(timeout_secs=0.1)
            held.append(resident_bytes())
        assert await call.aclose(timeout_secs=60) == 0
        counts = await journal.outbox.counts()
    assert counts.pending >= DAY
    assert counts.set_aside == 0
    # What was said takes 250 bytes a message: 4 MB a day. The first hours fill the caches.
    assert held[-1] - held[5] < 2_000_000, [f"{size / 1e6:.1f}" for size in held]


async def test_a_clock_that_steps_back_keeps_the_order(
    journal: Journal, lite: Lite, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation_id, user_id = uuid4(), f"user-{uuid4()}"
    behind = timedelta(0)
    for module in (opening, recorder):
        monkeypatch.setattr(module, "utc_now", lambda: utc_now() - behind)
    async with connected(lite.url, lite) as api, mirrored(journal, api) as store:
        for _ in range(2):
            # Once in the middle of a call, and once between two.
            call = await begin_call(store, conversation_id, user_id)
            for _ in range(2):
                for word in ("uno", "dos"):
                    call.message(Role.USER, word, node="conversation")
                    call.transition("a", "b", trigger=word, arguments={})
                behind += timedelta(hours=1)
            call.end(EndReason.GOODBYE, metrics={})
            assert await call.aclose(timeout_secs=5) == 0
            assert await store.settle(timeout_secs=10) == 0
        here = await journal.transcript(conversation_id)
        there = await store.transcript(conversation_id)
    assert here is not None
    assert there is not None
    for transcript in (here, there):
        assert [message.seq for message in transcript.messages] == list(range(1, 9))
        for session in transcript.sessions:
            steps = [one.seq for one in transcript.transitions if one.session_id == session.id]
            assert steps == sorted(steps)
            assert len(steps) == 4
    assert there.messages == here.messages
