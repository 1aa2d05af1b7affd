"""The outbox, shipped through a network that fails in every way, to Supabase's real API."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from loguru import logger

from simulators.clients.waiting import Waiting
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    Message,
    Session,
    SessionUpdate,
    Transition,
    utc_now,
    uuid7,
)
from sonora_app.storage.supabase import circuit
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.shipper import Shipper
from tests.supabase.lite import Lite
from tests.supabase.proxy import HEALTHY, STALLED, Fault, FaultProxy, answering, at_random

pytestmark = pytest.mark.supabase

FAULTY_SECS = 12.0
KINDS = 12
"""How many kinds of fault there are to be at least."""


class Talk:
    """A conversation that goes on call after call."""

    def __init__(self, user_id: str = "ana") -> None:
        now = utc_now()
        self.conversation = Conversation(
            id=uuid7(), user_id=user_id, created_at=now, updated_at=now
        )
        self.seq = 0

    def call(self, turns: int) -> list[list[Any]]:
        """What a call writes, a batch at a time."""
        session = Session(
            id=uuid7(),
            conversation_id=self.conversation.id,
            transport="test",
            started_at=utc_now(),
            app_version="1",
        )
        batches: list[list[Any]] = [[self.conversation, session]]
        for _ in range(turns):
            self.seq += 1
            batches.append([self._message(session), self._step(session)])
        batches.append(
            [
                SessionUpdate(
                    id=session.id,
                    ended_at=utc_now(),
                    end_reason=EndReason.GOODBYE,
                    metrics={"turns": turns},
                ),
                ConversationUpdate(
                    id=self.conversation.id,
                    title=f"title {self.seq}",
                    status=ConversationStatus.COMPLETED,
                    metadata={f"call {self.seq}": True},
                    updated_at=utc_now(),
                ),
            ]
        )
        return batches

    def _message(self, session: Session) -> Message:
        return Message(
            id=uuid7(),
            conversation_id=self.conversation.id,
            session_id=session.id,
            seq=self.seq,
            role="user",
            content=f"¿{self.seq}? ☃ \0",
            metrics={"ms": 1.5},
            created_at=utc_now(),
        )

    def _step(self, session: Session) -> Transition:
        return Transition(
            id=uuid7(),
            conversation_id=self.conversation.id,
            session_id=session.id,
            seq=self.seq,
            from_node="a",
            to_node="b",
            trigger="t",
            arguments={"n": self.seq},
            created_at=utc_now(),
        )


@pytest.fixture
async def journal(tmp_path: Path):
    opened = await Journal.connect(tmp_path / "data" / "journal.db", outbox=True)
    yield opened
    await opened.aclose()


@pytest.fixture
async def proxy(lite: Lite):
    async with FaultProxy(lite.url) as started:
        yield started


@asynccontextmanager
async def connected(url: str, lite: Lite, timeout_secs: float = 5) -> AsyncGenerator[SupabaseApi]:
    values: dict[str, Any] = {
        "supabase_url": url,
        "supabase_key": lite.secret_key,
        "supabase_timeout_secs": timeout_secs,
    }
    api = await SupabaseApi.connect(Settings(_env_file=None, **values))
    try:
        yield api
    finally:
        await api.aclose()


@asynccontextmanager
async def shipping(shipper: Shipper) -> AsyncGenerator[None]:
    task = asyncio.create_task(shipper.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def assert_same_rows(journal: Journal, direct: SupabaseApi, talk: Talk) -> None:
    """Both stores have the same, each row once, in the same order."""
    here = await journal.transcript(talk.conversation.id)
    there = await direct.transcript(talk.conversation.id)
    assert here is not None
    assert there == here
    assert [message.seq for message in there.messages] == list(range(1, talk.seq + 1))
    assert len({message.id for message in there.messages}) == talk.seq
    opening = (await direct.look_up(talk.conversation.id, "ana", message_limit=5)).opening
    assert opening == (await journal.look_up(talk.conversation.id, "ana", message_limit=5)).opening


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_faults_at_random_lose_and_double_nothing(
    journal: Journal, proxy: FaultProxy, lite: Lite, seed: int, monkeypatch: pytest.MonkeyPatch
):
    # As it is, but that a minute of it fits into seconds.
    monkeypatch.setattr(circuit, "_LONGEST_WAIT_SECS", 0.5)
    monkeypatch.setattr(circuit, "_FIRST_PAUSE_SECS", 0.5)
    monkeypatch.setattr(circuit, "_LONGEST_PAUSE_SECS", 1.0)
    numbers = random.Random(seed)
    stored: list[UUID] = []
    health: list[str] = []
    talks = [Talk() for _ in range(3)]
    async with connected(proxy.url, lite, 0.6) as api, connected(lite.url, lite) as direct:
        shipper = Shipper(
            journal,
            api,
            on_stored=stored.extend,
            on_health=lambda state, pending: health.append(state),
        )
        async with shipping(shipper):
            proxy.choose = at_random(seed, rate=0.6)
            until = time.monotonic() + FAULTY_SECS
            # A busy machine makes fewer requests in that time.
            while time.monotonic() < until or len(proxy.seen) < KINDS:
                for batch in numbers.choice(talks).call(numbers.randrange(20)):
                    await journal.write(batch)
                    await asyncio.sleep(numbers.uniform(0, 0.02))
            proxy.always(HEALTHY)
            assert await shipper.drain(60) == 0
            assert shipper.health == "ok"
        assert await journal.outbox.counts() == Counts(0, 0)
        for talk in talks:
            await assert_same_rows(journal, direct, talk)
        said = sum(talk.seq for talk in talks)
        assert len(stored) == len(set(stored)) == said
        logger.info(f"{said} messages through {dict(proxy.seen)}")
        assert health[-1] == "ok"
        assert "delayed" in health


async def test_a_server_that_is_down_from_the_start(
    journal: Journal, proxy: FaultProxy, lite: Lite
):
    await proxy.stop()
    health: list[tuple[str, int]] = []
    talk = Talk()
    async with connected(proxy.url, lite) as api, connected(lite.url, lite) as direct:
        shipper = Shipper(
            journal, api, on_health=lambda state, pending: health.append((state, pending))
        )
        async with shipping(shipper):
            for batch in talk.call(5):
                await journal.write(batch)
            waiting = Waiting()
            assert await shipper.drain(1) == 14
            assert waiting.secs() < 1.5
            assert shipper.last_error is not None
            assert "cannot be reached" in str(shipper.last_error)
            await proxy.start()
            assert await shipper.drain(60) == 0
        await assert_same_rows(journal, direct, talk)
    assert health[0][0] == "delayed"
    assert health[-1][0] == "ok"


async def test_a_server_that_accepts_and_never_answers_holds_nothing_up(
    journal: Journal, proxy: FaultProxy, lite: Lite
):
    proxy.always(STALLED)
    talk = Talk()
    async with connected(proxy.url, lite, 0.3) as api, connected(lite.url, lite) as direct:
        shipper = Shipper(journal, api)
        async with shipping(shipper):
            longest = await longest_write(journal, talk)
            # As long as the disk takes: nothing waits for the server.
            assert longest < 0.5
            assert await shipper.drain(2) > 0
            assert shipper.last_error is not None
            assert "0.3 s" in str(shipper.last_error)
            proxy.always(HEALTHY)
            assert await shipper.drain(60) == 0
        await assert_same_rows(journal, direct, talk)


async def longest_write(journal: Journal, talk: Talk) -> float:
    longest = 0.0
    for batch in talk.call(30):
        waiting = Waiting()
        await journal.write(batch)
        longest = max(longest, waiting.secs())
    return longest


async def test_time_outs_leave_no_connection_behind(
    journal: Journal, proxy: FaultProxy, lite: Lite
):
    async with connected(proxy.url, lite, 0.05) as api:
        proxy.always(STALLED)
        # More than the pool of connections holds.
        for _ in range(150):
            with pytest.raises(Exception, match="did not answer"):
                await api.schema_version()
    async with connected(proxy.url, lite, 5) as api:
        proxy.always(HEALTHY)
        assert await api.schema_version() >= 2


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (answering(401), "failing"),
        (answering(403), "failing"),
        (answering(500), "delayed"),
        (answering(429, Retry_After="1"), "delayed"),
    ],
    ids=["401", "403", "500", "429"],
)
async def test_each_kind_of_no_is_waited_out(
    journal: Journal, proxy: FaultProxy, lite: Lite, fault: Fault, state: str
):
    health: list[str] = []
    talk = Talk()
    async with connected(proxy.url, lite) as api, connected(lite.url, lite) as direct:
        shipper = Shipper(journal, api, on_health=lambda state, _: health.append(state))
        async with shipping(shipper):
            proxy.always(fault)
            for batch in talk.call(2):
                await journal.write(batch)
            async with asyncio.timeout(30):
                while state not in health:
                    await asyncio.sleep(0.01)
            proxy.always(HEALTHY)
            assert await shipper.drain(60) == 0
        await assert_same_rows(journal, direct, talk)
    assert await journal.outbox.counts() == Counts(0, 0)


async def test_two_machines_on_one_conversation(
    journal: Journal, proxy: FaultProxy, lite: Lite, tmp_path: Path
):
    """Each with a journal of its own; together they make the conversation."""
    other = await Journal.connect(tmp_path / "other" / "journal.db", outbox=True)
    talk, same = Talk(), Talk()
    same.conversation = talk.conversation
    proxy.choose = at_random(5, rate=0.3)
    async with connected(proxy.url, lite, 0.5) as api, connected(lite.url, lite) as direct:
        shippers = Shipper(journal, api), Shipper(other, api)
        async with shipping(shippers[0]), shipping(shippers[1]):
            for mine, theirs in zip(talk.call(40), same.call(40), strict=True):
                await asyncio.gather(journal.write(mine), other.write(theirs))
                await asyncio.sleep(0.01)
            proxy.always(HEALTHY)
            assert [await shipper.drain(60) for shipper in shippers] == [0, 0]
        merged = await direct.transcript(talk.conversation.id)
        halves = [await each.transcript(talk.conversation.id) for each in (journal, other)]
    await other.aclose()
    assert merged is not None
    assert len(merged.sessions) == 2
    assert len(merged.messages) == len({message.id for message in merged.messages}) == 80
    for half in halves:
        assert half is not None
        mine = {session.id for session in half.sessions}
        assert tuple(m for m in merged.messages if m.session_id in mine) == half.messages
        assert tuple(s for s in merged.transitions if s.session_id in mine) == half.transitions
        assert half.conversation.metadata.items() <= merged.conversation.metadata.items()


@pytest.mark.slow
async def test_ten_thousand_messages_are_caught_up_with(
    journal: Journal, proxy: FaultProxy, lite: Lite
):
    await proxy.stop()
    talk = Talk()
    first, *turns, last = talk.call(10_000)
    await journal.write(first)
    for start in range(0, len(turns), 100):
        await journal.write([message for message, _ in turns[start : start + 100]])
    await journal.write(last)
    lags: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - before - 0.005)

    async with connected(proxy.url, lite) as api, connected(lite.url, lite, 60) as direct:
        shipper = Shipper(journal, api)
        watching = asyncio.create_task(watch())
        async with shipping(shipper):
            await proxy.start()
            waiting = Waiting()
            assert await shipper.drain(240) == 0
            took = waiting.secs()
        watching.cancel()
        await assert_same_rows(journal, direct, talk)
    lags.sort()
    logger.info(
        f"10,000 messages caught up with in {took:.1f} s ({10_000 / took:.0f} a second); loop lag"
        f" {lags[len(lags) // 2] * 1e3:.2f} ms at the median, {lags[-1] * 1e3:.1f} at most"
    )
    assert took < 90
