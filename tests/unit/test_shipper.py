"""The shipper's decisions, against a destination in memory and a clock that jumps."""

import asyncio
import json
import random
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from loguru import logger

from sonora_app.errors import ErrorCode, StorageError
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts, Entry
from sonora_app.storage.records import utc_now
from sonora_app.storage.store import Found
from sonora_app.storage.supabase.circuit import OPENS_AFTER, Circuit
from sonora_app.storage.supabase.errors import (
    Refusal,
    SupabaseError,
    Trouble,
    garbled,
    old_schema,
    refusals,
    sorted_error,
    unanswered,
    unreachable,
)
from sonora_app.storage.supabase.shipper import Shipper
from sonora_app.storage.supabase.unshipped import UnshippedLog
from tests.unit.test_outbox import Call

pytestmark = pytest.mark.unit

Fault = SupabaseError | Callable[[Sequence[Entry]], SupabaseError | None] | None


class Clock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, secs: float) -> None:
        self.slept.append(secs)
        self.now += secs
        await asyncio.sleep(0)


class Memory:
    """A destination in memory: applies as `sonora_apply` does, and fails as it is told to."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.faults: list[Fault] = []
        self.always: Fault = None
        self.lose_answers = 0
        self.answers_otherwise: SupabaseError | None = None
        self.found = Found()
        self.looked_up = 0
        self.refuse: dict[UUID, Refusal] = {}
        self.rows: dict[UUID, dict[str, Any]] = {}
        self.order: list[int] = []
        self.batches: list[int] = []
        self.attempts: list[float] = []

    async def apply(self, entries: Sequence[Entry]) -> tuple[Refusal | None, ...]:
        self.attempts.append(self.clock())
        self.batches.append(len(entries))
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else self.always
        error = fault(entries) if callable(fault) else fault
        if error is not None:
            raise error
        results = tuple(self.refuse.get(entry.row_id) for entry in entries)
        for entry, refusal in zip(entries, results, strict=True):
            if refusal is None:
                self._apply(entry)
        if self.lose_answers:
            self.lose_answers -= 1
            raise unanswered(5)
        return results

    async def schema_version(self) -> int:
        if self.answers_otherwise is not None:
            raise self.answers_otherwise
        return 2

    async def look_up(
        self, conversation_id: UUID | None, user_id: str | None, *, message_limit: int
    ) -> Found:
        self.looked_up += 1
        if self.answers_otherwise is not None:
            raise self.answers_otherwise
        return self.found

    def _apply(self, entry: Entry) -> None:
        if entry.operation == "insert":
            if entry.row_id not in self.rows:
                self.order.append(entry.position)
                self.rows[entry.row_id] = dict(entry.payload)
        else:
            self.rows[entry.row_id].update(entry.payload)


class Setting:
    """A journal, a shipper and what it said."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = Clock()
        self.api = Memory(self.clock)
        self.stored: list[UUID] = []
        self.health: list[tuple[str, int]] = []
        self.circuit = Circuit(clock=self.clock, rand=lambda: 1.0)
        self.shipper = self.another()

    def another(self, **options: Any) -> Shipper:
        return Shipper(
            self.journal,
            self.api,
            on_stored=self.stored.extend,
            on_health=lambda health, pending: self.health.append((health, pending)),
            circuit=self.circuit,
            sleep=self.clock.sleep,
            **options,
        )

    @asynccontextmanager
    async def running(self, shipper: Shipper | None = None) -> AsyncGenerator[None]:
        task = asyncio.create_task((shipper or self.shipper).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()

    async def emptied(self, shipper: Shipper | None = None) -> None:
        async with self.running(shipper):
            await self.until_empty()

    async def until_empty(self) -> None:
        await self.until(lambda counts: counts.pending == 0)

    async def until(self, reached: Callable[[Counts], bool]) -> None:
        async with asyncio.timeout(30):
            while not reached(await self.journal.outbox.counts()):
                await asyncio.sleep(0.002)
            # What was settled just now is told a moment later.
            for _ in range(3):
                await asyncio.sleep(0)


@pytest.fixture
async def there(tmp_path: Path):
    journal = await Journal.connect(tmp_path / "data" / "journal.db", outbox=True)
    yield Setting(journal)
    await journal.aclose()


@pytest.fixture
def logged():
    lines: list[str] = []
    sink = logger.add(lines.append, level="DEBUG", format="{level} {message}")
    yield lines
    logger.remove(sink)


async def write(there: Setting, messages: int = 3) -> Call:
    call = Call()
    await there.journal.write([*call.opening(), *(call.said() for _ in range(messages))])
    return call


def status(code: int, **headers: str) -> SupabaseError:
    return sorted_error(code, headers, b"")


# Order and batches


async def test_everything_arrives_in_order_and_is_told(there: Setting):
    call = await write(there, 250)
    await there.journal.write(call.end())
    await there.emptied()
    assert there.api.batches == [100, 100, 54]
    assert there.api.order == sorted(there.api.order)
    assert len(there.api.rows) == 252
    assert len(there.stored) == len(set(there.stored)) == 250
    assert there.api.rows[call.session.id]["end_reason"] == "goodbye"
    assert there.health == []


async def test_what_comes_while_it_runs_is_shipped_at_once(there: Setting):
    async with there.running():
        for _ in range(3):
            await write(there)
            await there.until_empty()
    assert len(there.stored) == 9


async def test_an_answer_that_is_lost_makes_no_duplicates(there: Setting):
    there.api.lose_answers = 3
    call = await write(there, 120)
    await there.journal.write(call.end())
    await there.emptied()
    assert len(there.api.order) == len(set(there.api.order)) == 122
    assert there.api.order == sorted(there.api.order)
    assert sorted(there.stored) == sorted(set(there.stored))


async def test_a_crash_between_applying_and_noting_makes_no_duplicates(
    there: Setting, monkeypatch: pytest.MonkeyPatch
):
    await write(there, 20)
    settle = there.journal.outbox.settle

    async def crash(*_: object) -> None:
        raise StorageError("the process died here")

    monkeypatch.setattr(there.journal.outbox, "settle", crash)
    async with there.running():
        while not there.api.order:
            await asyncio.sleep(0.001)
    assert there.stored == []
    assert (await there.journal.outbox.counts()).pending == 22

    monkeypatch.setattr(there.journal.outbox, "settle", settle)
    await there.emptied(there.another())
    assert len(there.api.order) == 22
    assert len(there.stored) == 20


async def test_memory_does_not_grow_with_the_backlog(there: Setting):
    call = await write(there, 0)
    for _ in range(20):
        await there.journal.write([call.said("x" * 2_000) for _ in range(250)])
    there.api._apply = lambda entry: None
    there.api.always = lambda entries: unreachable("ConnectError")
    tracemalloc.start()
    try:
        async with there.running():
            while len(there.api.attempts) < 50:
                await asyncio.sleep(0.01)
            there.api.always = None
            await there.until_empty()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Ten megabytes waited.
    assert peak < 3_000_000


# When to try again


async def test_attempts_are_further_and_further_apart(there: Setting):
    there.api.faults = [unreachable("ConnectError")] * 12
    await write(there)
    await there.emptied()
    gaps = [later - earlier for earlier, later in pairwise(there.api.attempts[:13])]
    assert gaps == pytest.approx([0.2, 0.4, 0.8, 1.6, 10, 20, 40, 60, 60, 60, 60, 60])
    assert [state for state, _ in there.health] == ["delayed", "failing", "ok"]
    assert there.health[0][1] == 5


def test_the_waits_have_full_jitter():
    clock = Clock()
    numbers = random.Random(1)
    waits: list[float] = []
    for _ in range(300):
        circuit = Circuit(clock=clock, rand=numbers.random)
        for _ in range(4):
            circuit.failed()
        waits.append(circuit.wait_secs())
        assert not circuit.is_open
        circuit.failed()
        assert circuit.is_open
        assert 5 <= circuit.wait_secs() <= 10
    assert min(waits) < 0.1
    assert 1.4 < max(waits) <= 1.6


def test_a_success_closes_the_circuit():
    circuit = Circuit(clock=Clock(), rand=lambda: 1.0)
    for _ in range(OPENS_AFTER + 3):
        circuit.failed()
    circuit.succeeded()
    assert not circuit.is_open
    assert circuit.wait_secs() == 0
    circuit.failed()
    assert circuit.wait_secs() == pytest.approx(0.2)


async def test_an_open_circuit_lets_one_small_probe_through(there: Setting):
    await write(there, 300)
    there.api.faults = [status(503)] * OPENS_AFTER
    await there.emptied()
    assert there.api.batches[OPENS_AFTER - 1] < 10
    # The server that has come back is not flooded either.
    after = there.api.batches[OPENS_AFTER:]
    assert after[0] < 10
    assert all(later <= 2 * earlier for earlier, later in pairwise(after))
    assert max(after) > 50


async def test_what_comes_while_the_circuit_is_open_does_not_hammer(there: Setting):
    there.api.always = unreachable("ConnectError")
    await write(there)
    async with there.running():
        while there.clock.now < 1_300:
            await write(there, 1)
    assert len(there.api.attempts) < 20


async def test_the_server_s_own_wait_is_kept(there: Setting):
    there.api.faults = [status(429, **{"retry-after": "37"}), status(503)]
    await write(there)
    await there.emptied()
    first, second, third = there.api.attempts[:3]
    assert 37 <= second - first <= 37 * 1.2
    assert third - second < 1


async def test_the_server_s_own_wait_is_kept_even_in_a_hurry(there: Setting):
    there.api.faults = [status(429, **{"retry-after": "5"})]
    await write(there)
    async with there.running():
        while not there.api.attempts:
            await asyncio.sleep(0)
        await there.shipper.drain(5)
    first, second = there.api.attempts[:2]
    assert second - first >= 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", 12),
        ("0", 0),
        ("-3", 0),
        ("99999", 300),
        ("inf", 300),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_retry_after_of_any_kind_is_read(value: str, expected: float | None):
    found = status(429, **{"retry-after": value}).retry_after_secs
    assert found == expected


def test_a_retry_after_may_be_a_date():
    now = utc_now()
    for secs in (60, -60):
        date = format_datetime(now + timedelta(seconds=secs), usegmt=True)
        found = status(429, **{"retry-after": date}).retry_after_secs
        assert found == pytest.approx(max(0, secs), abs=30)


# What is wrong


@pytest.mark.parametrize(
    ("code", "body", "trouble"),
    [
        (408, b"", Trouble.BUSY),
        (425, b"", Trouble.BUSY),
        (429, b"", Trouble.BUSY),
        (500, b"{}", Trouble.FAILING),
        (502, b"<html>", Trouble.FAILING),
        (503, b'{"code":"PGRST000"}', Trouble.FAILING),
        (500, b'{"code":"57014","message":"canceling"}', Trouble.FAILING),
        (409, b'{"code":"40P01"}', Trouble.FAILING),
        (401, b'{"message":"Invalid API key"}', Trouble.KEY_REFUSED),
        (403, b'{"code":"42501"}', Trouble.KEY_REFUSED),
        (403, b"<html>", Trouble.KEY_REFUSED),
        (404, b'{"code":"PGRST202"}', Trouble.OLD_SCHEMA),
        (404, b'{"code":"42883"}', Trouble.OLD_SCHEMA),
        (404, b'{"code":"PGRST205"}', Trouble.OLD_SCHEMA),
        (400, b'{"code":"42703"}', Trouble.OLD_SCHEMA),
        (404, b"not here", Trouble.NO_API),
        (301, b"", Trouble.NO_API),
        (400, b'{"code":"22P05"}', Trouble.REFUSED),
        (409, b'{"code":"23505"}', Trouble.REFUSED),
        (413, b"", Trouble.REFUSED),
        (400, b'["code"]', Trouble.REFUSED),
        (400, b"\xff\x00", Trouble.REFUSED),
        (400, b'{"code":{"a":1}}', Trouble.REFUSED),
        (400, b'{"code":"what was said"}', Trouble.REFUSED),
    ],
)
def test_answers_are_sorted(code: int, body: bytes, trouble: Trouble):
    error = sorted_error(code, {}, body)
    assert error.trouble is trouble
    assert error.status == code
    assert error.is_misconfigured == (
        trouble in (Trouble.KEY_REFUSED, Trouble.OLD_SCHEMA, Trouble.NO_API)
    )
    assert (error.code is ErrorCode.MISCONFIGURED) == error.is_misconfigured
    assert "said" not in str(error)
    assert error.hint or not error.is_misconfigured


@pytest.mark.parametrize(
    "answer",
    ["<html>", None, {}, [], [None, None], [1], ["x"], [{"sqlstate": 5}], [{"sqlstate": "a b"}]],
)
def test_an_answer_that_is_none_is_an_error(answer: object):
    with pytest.raises(SupabaseError, match="understood") as caught:
        refusals(answer, 1)
    assert caught.value.trouble is Trouble.FAILING


def test_a_refusal_tells_no_value():
    (refusal,) = refusals([{"sqlstate": "23514", "message": "role_check"}], 1)
    assert refusal is not None
    assert refusal.reason == "A value is not allowed (23514, role_check)"
    (hostile,) = refusals([{"sqlstate": "P0001", "message": 'Ana said: "…"'}], 1)
    assert hostile == Refusal("P0001")
    assert hostile.reason == "It is refused (P0001)"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (status(401), "does not accept the key"),
        (old_schema(), "supabase db push"),
        (status(404), "SUPABASE_URL"),
    ],
)
async def test_a_wrong_setting_is_told_at_once_and_mended_without_a_restart(
    there: Setting, logged: list[str], error: SupabaseError, words: str
):
    there.api.faults = [error] * 8
    await write(there)
    await there.emptied()
    assert [state for state, _ in there.health] == ["failing", "ok"]
    (line,) = [line for line in logged if line.startswith("ERROR")]
    assert words in line
    assert "5 records wait" in line
    assert (await there.journal.outbox.counts()) == Counts(0, 0)
    assert there.shipper.last_error is None


async def test_a_server_that_is_down_is_told_once(there: Setting, logged: list[str]):
    there.api.faults = [garbled(), unanswered(5), *[status(500)] * 10]
    await write(there)
    await there.emptied()
    told = [line for line in logged if "wait for Supabase" in line]
    assert [line.split()[0] for line in told] == ["WARNING", "WARNING"]
    assert sum("reach Supabase again" in line for line in logged) == 1


# Refused for good


async def test_what_is_refused_for_good_holds_up_nothing(there: Setting, logged: list[str]):
    call = await write(there, 0)
    messages = [call.said(f"secret {n}") for n in range(10)]
    for n in (2, 7):
        there.api.refuse[messages[n].id] = Refusal("23514", "messages_role_check")
    await there.journal.write(messages)
    await there.emptied()
    assert (await there.journal.outbox.counts()) == Counts(0, 2)
    assert {entry.row_id for entry in await there.journal.outbox.listed(limit=9)} == {
        messages[2].id,
        messages[7].id,
    }
    assert there.stored == [m.id for n, m in enumerate(messages) if n not in (2, 7)]
    (line,) = [line for line in logged if line.startswith("ERROR")]
    assert "2 records for good" in line
    assert "23514, messages_role_check" in line
    assert "sonora sync list" in line
    assert "secret" not in line
    # Mended there, it goes through.
    there.api.refuse.clear()
    await there.journal.outbox.retry(None)
    await there.emptied(there.another())
    assert (await there.journal.outbox.counts()) == Counts(0, 0)


@pytest.mark.parametrize("code", [400, 403, 413])
async def test_the_one_record_that_a_batch_is_refused_for_is_found(there: Setting, code: int):
    call = await write(there, 0)
    messages = [call.said() for _ in range(250)]
    poison = messages[133]
    await there.journal.write(messages)

    def dislike(entries: Sequence[Entry]) -> SupabaseError | None:
        return status(code) if any(e.row_id == poison.id for e in entries) else None

    there.api.always = dislike
    await there.emptied()
    (aside,) = await there.journal.outbox.listed(limit=9)
    assert aside.row_id == poison.id
    assert str(code) in (aside.reason or "")
    assert len(there.api.rows) == 251
    assert there.api.order == sorted(there.api.order)
    # It took seconds, not minutes. The clock itself jumps on while there is nothing to do.
    assert there.api.attempts[-1] - there.api.attempts[0] < 10
    assert there.health == []


async def test_a_wrong_key_sets_nothing_aside(there: Setting):
    there.api.always = there.api.answers_otherwise = status(403)
    await write(there, 250)
    async with there.running():
        while there.clock.now < 5_000:
            await asyncio.sleep(0.001)
    assert (await there.journal.outbox.counts()) == Counts(252, 0)
    assert there.shipper.health == "failing"
    assert there.shipper.last_error is not None
    assert there.shipper.last_error.is_misconfigured
    assert len(there.api.attempts) < 150

    there.api.always = there.api.answers_otherwise = None
    await there.emptied(there.another())
    assert (await there.journal.outbox.counts()) == Counts(0, 0)


async def test_refusals_by_something_in_between_set_nothing_aside(there: Setting):
    numbers = random.Random(7)
    there.api.always = lambda _: (
        status(numbers.choice([403, 409])) if numbers.random() < 0.4 else None
    )
    call = await write(there, 0)
    for _ in range(20):
        await there.journal.write([call.said() for _ in range(10)])
    await there.emptied()
    assert (await there.journal.outbox.counts()) == Counts(0, 0)
    assert there.api.order == sorted(there.api.order)


# Ending, sharing, keeping


async def test_drain_ships_what_is_there_even_when_the_circuit_is_open(there: Setting):
    there.api.always = unreachable("ConnectError")
    await write(there)
    never: asyncio.Future[None] = asyncio.Future()

    async def sleep(secs: float) -> None:
        if secs > 5:
            await never
        await there.clock.sleep(secs)

    there.shipper._sleep = sleep
    async with there.running():
        while not there.circuit.is_open:
            await asyncio.sleep(0.001)
        assert await there.shipper.drain(0.2) == 5
        there.api.always = None
        assert await there.shipper.drain(5) == 0
    assert len(there.stored) == 3


async def test_drain_waits_no_longer_than_it_may(there: Setting):
    stuck = asyncio.Event()

    async def hang(entries: Sequence[Entry]) -> tuple[Refusal | None, ...]:
        await stuck.wait()
        return ()

    there.api.apply = hang
    await write(there)
    async with there.running():
        started = asyncio.get_running_loop().time()
        assert await there.shipper.drain(0.3) == 5
        assert asyncio.get_running_loop().time() - started < 0.6


async def test_drain_does_not_wait_for_what_comes_later(there: Setting):
    call = await write(there)
    async with there.running():
        draining = asyncio.create_task(there.shipper.drain(10))
        while not draining.done():
            await there.journal.write([call.said()])
        assert await draining == 0


async def test_another_one_watches_and_takes_over(there: Setting):
    call = await write(there, 0)
    told: list[UUID] = []
    other = Shipper(
        await Journal.connect(there.journal._connection._path, outbox=True),
        there.api,
        on_stored=told.extend,
        sleep=there.clock.sleep,
    )
    first = asyncio.create_task(there.shipper.run())
    await there.until_empty()
    watching = asyncio.create_task(other.run())
    await asyncio.sleep(0.05)
    messages = [call.said() for _ in range(3)]
    await there.journal.write(messages)
    await there.until_empty()
    async with asyncio.timeout(30):
        while len(told) < 3:
            await asyncio.sleep(0.005)
    assert told == there.stored == [message.id for message in messages]
    assert await other.drain(1) == 0

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    last = call.said()
    await there.journal.write([last])
    await there.until_empty()
    assert told[-1] == last.id
    assert last.id not in there.stored
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_what_goes_wrong_in_a_listener_does_not_stop_it(there: Setting):
    def fail(_: object) -> None:
        raise RuntimeError

    there.shipper._on_stored = fail
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await write(there, 150)
    await there.emptied()
    assert len(there.api.rows) == 152


async def test_it_prunes_what_is_stored_and_old(there: Setting):
    call = await write(there)
    await there.journal.write(call.end())
    await there.emptied(there.another(keep=timedelta(0)))
    async with there.running(there.another(keep=timedelta(0))), asyncio.timeout(30):
        while await there.journal.conversations():
            await asyncio.sleep(0.005)


async def test_as_a_last_resort_it_goes_to_the_log(there: Setting):
    raw: list[str] = []
    sink = logger.add(raw.append, level="WARNING", format="{message}")
    call = await write(there, 0)
    first, second = call.said("uno\n{dos}"), call.said("tres")
    await there.journal.write([first, second])
    entries = await there.journal.outbox.batch(10)
    await there.journal.outbox.settle([entries[1]], {entries[2].position: "no"})
    log = UnshippedLog(there.journal)
    assert await log.write(entries[0].position) == 1
    assert await log.write() == 2
    assert await log.write() == 0
    await there.journal.outbox.retry(None)
    await there.journal.write([call.said("cuatro")])
    assert await log.write() == 1
    logger.remove(sink)
    lines = [json.loads(line) for line in raw]
    assert [(line["table"], line["reason"]) for line in lines] == [
        ("conversations", None),
        ("messages", "no"),
        ("messages", None),
        ("messages", None),
    ]
    assert lines[1]["payload"]["content"] == "uno\n{dos}"
    assert {line["user_id"] for line in lines} == {"ana"}
