"""The journal's outbox: what goes in, what comes out, and what may be pruned."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sonora_app.storage.journal import outbox_rows
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.migrations import MIGRATIONS
from sonora_app.storage.journal.outbox import Outbox
from sonora_app.storage.journal.outbox_rows import Counts, Entry
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    Message,
    Record,
    Session,
    SessionUpdate,
    Transition,
    utc_now,
    uuid7,
)

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = START + timedelta(days=40)


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


class Call:
    """A call with its records, made a piece at a time."""

    def __init__(self, start: float = 0, of: Conversation | None = None) -> None:
        self.start = start
        self.conversation = of or Conversation(
            id=uuid7(), user_id="ana", created_at=at(start), updated_at=at(start)
        )
        self.session = Session(
            id=uuid7(),
            conversation_id=self.conversation.id,
            transport="test",
            started_at=at(start),
            app_version="1",
        )
        self.seq = 0

    def opening(self) -> list[Record]:
        return [self.conversation, self.session]

    def said(self, content: str = "hola", **fields: Any) -> Message:
        self.seq += 1
        return Message(
            id=uuid7(),
            conversation_id=self.conversation.id,
            session_id=self.session.id,
            seq=self.seq,
            role="user",
            content=content,
            created_at=at(self.start + self.seq),
            **fields,
        )

    def step(self) -> Transition:
        return Transition(
            id=uuid7(),
            conversation_id=self.conversation.id,
            session_id=self.session.id,
            seq=1,
            from_node="a",
            to_node="b",
            trigger="t",
            arguments={"n": 1},
            created_at=at(self.start),
        )

    def end(self) -> list[Record]:
        return [
            SessionUpdate(
                id=self.session.id,
                ended_at=at(self.start + 50),
                end_reason=EndReason.GOODBYE,
                metrics={"turns": self.seq},
            ),
            ConversationUpdate(
                id=self.conversation.id,
                status=ConversationStatus.COMPLETED,
                updated_at=at(self.start + 50),
            ),
        ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


@pytest.fixture
async def journal(path: Path):
    opened = await Journal.connect(path, outbox=True)
    yield opened
    await opened.aclose()


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def everything(outbox: Outbox) -> list[Entry]:
    return list(await outbox.batch(1_000_000))


async def ship_all(outbox: Outbox) -> None:
    while entries := await outbox.batch(100):
        await outbox.settle(entries, {})


async def test_entries_come_in_the_order_they_were_written_with_whose_they_are(journal: Journal):
    call = Call()
    message = call.said()
    await journal.write([*call.opening(), message, call.step(), *call.end()])
    entries = await everything(journal.outbox)
    assert [(entry.table, entry.operation) for entry in entries] == [
        ("conversations", "insert"),
        ("sessions", "insert"),
        ("messages", "insert"),
        ("transitions", "insert"),
        ("sessions", "update"),
        ("conversations", "update"),
    ]
    assert {entry.conversation_id for entry in entries} == {call.conversation.id}
    assert {entry.user_id for entry in entries} == {"ana"}
    assert [entry.position for entry in entries] == sorted(entry.position for entry in entries)
    assert Message.model_validate(entries[2].payload) == message


async def test_a_batch_is_bounded_in_number_and_in_size(journal: Journal, monkeypatch: Any):
    monkeypatch.setattr(outbox_rows, "_BATCH_BYTES", 3_000)
    call = Call()
    await journal.write([*call.opening(), *(call.said("x" * 1_000) for _ in range(5))])
    await journal.write([call.said("y" * 50_000), call.said()])
    sizes: list[int] = []
    while entries := await journal.outbox.batch(3):
        sizes.append(len(entries))
        await journal.outbox.settle(entries, {})
    assert sizes == [3, 2, 2, 1, 1]


async def test_what_is_settled_is_gone_and_what_is_refused_is_aside(path: Path, journal: Journal):
    call = Call()
    await journal.write([*call.opening(), call.said(), call.said()])
    entries = await everything(journal.outbox)
    await journal.outbox.settle(entries[:2], {entries[2].position: "a reason"})
    assert await journal.outbox.counts() == Counts(pending=1, set_aside=1)
    assert await everything(journal.outbox) == entries[3:]
    (aside, waiting) = await journal.outbox.listed(limit=10)
    assert (aside.position, aside.reason) == (entries[2].position, "a reason")
    assert (waiting.position, waiting.reason) == (entries[3].position, None)
    ((whole, reason),) = await journal.outbox.after(0, until=aside.position, limit=10)
    assert (whole, reason) == (entries[2], "a reason")
    # It stays readable here, whatever becomes of it there.
    transcript = await journal.transcript(call.conversation.id)
    assert transcript is not None
    assert len(transcript.messages) == 2


async def test_it_is_known_when_each_message_was_kept_here_and_there(journal: Journal):
    call = Call()
    first, second = call.said(), call.said()
    begun = utc_now()
    await journal.write([*call.opening(), first, second])
    written = utc_now()
    await journal.outbox.settle((await everything(journal.outbox))[:-1], {})
    stored = utc_now()
    await journal.write([first])
    transcript = await journal.transcript(call.conversation.id)
    assert transcript is not None
    kept = transcript.kept_at
    assert set(kept) == {first.id, second.id}
    assert begun <= kept[first.id].written_at <= written
    assert written <= (kept[first.id].stored_at or begun) <= stored
    assert kept[second.id].stored_at is None


async def test_retried_entries_come_back_at_their_place(journal: Journal):
    call = Call()
    await journal.write([*call.opening(), call.said(), call.said()])
    entries = await everything(journal.outbox)
    aside = {entry.position: "no" for entry in entries[:3]}
    await journal.outbox.settle([], aside)
    journal.outbox.enqueued.clear()
    assert await journal.outbox.retry(entries[1].position) == 1
    assert await journal.outbox.retry(entries[1].position) == 0
    assert journal.outbox.enqueued.is_set()
    assert [entry.position for entry in await everything(journal.outbox)] == [
        entries[1].position,
        entries[3].position,
    ]
    assert await journal.outbox.retry(None) == 2
    assert await everything(journal.outbox) == entries


async def test_a_discarded_entry_is_gone_and_its_record_never_pruned(journal: Journal):
    call = Call()
    await journal.write([*call.opening(), call.said(), *call.end()])
    entries = await everything(journal.outbox)
    message = entries[2]
    await journal.outbox.settle(
        [entry for entry in entries if entry is not message], {message.position: "no"}
    )
    assert await journal.outbox.discard(message.position)
    assert not await journal.outbox.discard(message.position)
    assert await journal.outbox.counts() == Counts(0, 0)
    assert await journal.outbox.prune(LATER) == 0
    assert await journal.transcript(call.conversation.id) is not None


async def test_there_is_a_signal_when_something_is_put_there(path: Path):
    silent = await Journal.connect(path)
    await silent.write(Call().opening())
    assert not silent.outbox.enqueued.is_set()
    await silent.aclose()
    journal = await Journal.connect(path, outbox=True)
    call = Call()
    waiting = asyncio.create_task(journal.outbox.enqueued.wait())
    await journal.write(call.opening())
    await waiting
    journal.outbox.enqueued.clear()
    # Written before: nothing is put there.
    await journal.write(call.opening())
    assert not journal.outbox.enqueued.is_set()
    await journal.aclose()


async def test_a_conversation_from_before_is_shipped_whole_when_it_goes_on(path: Path):
    before = await Journal.connect(path)
    call, other = Call(), Call()
    message = call.said("☃ \\u0000", images=[{"a": 1}], interrupted=True, metrics={"ms": 1.5})
    step = call.step()
    await before.write([*call.opening(), step, message, *call.end(), *other.opening()])
    await before.aclose()

    journal = await Journal.connect(path, outbox=True)
    assert await journal.outbox.counts() == Counts(0, 0)
    again = Call(100, of=call.conversation)
    await journal.write([again.session])
    entries = await everything(journal.outbox)
    assert [(entry.table, entry.operation) for entry in entries] == [
        ("conversations", "insert"),
        ("sessions", "insert"),
        ("messages", "insert"),
        ("transitions", "insert"),
        ("sessions", "insert"),
    ]
    transcript = await journal.transcript(call.conversation.id)
    assert transcript is not None
    assert Conversation.model_validate(entries[0].payload) == transcript.conversation
    assert Session.model_validate(entries[1].payload) == transcript.sessions[0]
    assert Message.model_validate(entries[2].payload) == message
    assert Transition.model_validate(entries[3].payload) == step
    assert entries[1].payload["end_reason"] == "goodbye"

    # And only once.
    await journal.write([again.said()])
    assert (await journal.outbox.counts()).pending == 6
    await journal.aclose()


async def test_what_was_written_without_an_outbox_in_between_is_shipped_too(path: Path):
    call = Call()
    journal = await Journal.connect(path, outbox=True)
    await journal.write(call.opening())
    await ship_all(journal.outbox)
    silent = await Journal.connect(path)
    unseen = call.said("unseen")
    await silent.write([unseen])
    await silent.aclose()
    seen = call.said("seen")
    await journal.write([seen])
    entries = await everything(journal.outbox)
    assert [entry.row_id for entry in entries] == [call.conversation.id, unseen.id, seen.id]
    await journal.aclose()


async def test_a_journal_of_the_first_schema_keeps_its_outbox(path: Path):
    path.parent.mkdir()
    call = Call()
    message = call.said()
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        created = call.conversation.created_at.isoformat()
        for _ in range(2):
            connection.execute(
                "INSERT INTO conversations (id, status, created_at, updated_at)"
                " VALUES (?, 'active', ?, ?)",
                (str(uuid7()), created, created),
            )
        connection.execute(
            "UPDATE conversations SET id = ? WHERE rowid = 1", (str(call.conversation.id),)
        )
        connection.execute(
            "INSERT INTO sessions (id, conversation_id, transport, started_at, app_version,"
            " process_id) VALUES (?, ?, 'test', ?, '1', 'p')",
            (str(call.session.id), str(call.conversation.id), created),
        )
        for table, identifier, operation, payload in (
            ("conversations", call.conversation.id, "insert", {"id": str(call.conversation.id)}),
            ("messages", message.id, "insert", json.loads(message.model_dump_json())),
            ("sessions", call.session.id, "update", {"id": str(call.session.id)}),
        ):
            connection.execute(
                "INSERT INTO outbox (table_name, row_id, operation, payload, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (table, str(identifier), operation, json.dumps(payload), created),
            )
    journal = await Journal.connect(path, outbox=True)
    entries = await everything(journal.outbox)
    assert [entry.conversation_id for entry in entries] == [call.conversation.id] * 3
    assert rows(path, "SELECT shipping FROM conversations ORDER BY rowid") == [(1,), (0,)]
    await journal.aclose()


async def test_only_one_ships_at_a_time(path: Path, journal: Journal):
    other = await Journal.connect(path, outbox=True)
    assert journal.outbox.claim()
    assert not journal.outbox.claim()
    assert not other.outbox.claim()
    other.outbox.release()
    assert not other.outbox.claim()
    journal.outbox.release()
    assert other.outbox.claim()
    other.outbox.release()
    await other.aclose()


async def test_what_another_process_shipped_can_be_followed(
    path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    watching = await Journal.connect(path, outbox=True)
    call = Call()
    first, second = call.said(), call.said()
    await journal.write([*call.opening(), first])
    await ship_all(journal.outbox)
    number, ids = await watching.outbox.shipped_since(None)
    assert ids == ()
    await journal.write([second])
    await ship_all(journal.outbox)
    assert await watching.outbox.shipped_since(number) == (number + 1, (second.id,))
    assert await watching.outbox.shipped_since(number + 1) == (number + 1, ())

    monkeypatch.setattr("sonora_app.storage.journal.outbox.SHIPPED_KEPT", 2)
    await journal.write([call.said() for _ in range(5)])
    await ship_all(journal.outbox)
    assert rows(path, "SELECT count(*) FROM shipped") == [(2,)]
    await watching.aclose()


async def test_what_postgresql_cannot_hold_is_replaced(journal: Journal):
    call = Call()
    message = call.said("a\0b", metadata={"k\0": "\0", "literal": "\\u0000", "both": "\\\0"})
    await journal.write([*call.opening(), message])
    *_, entry = await everything(journal.outbox)
    assert entry.payload["content"] == "a\ufffdb"
    assert entry.payload["metadata"] == {
        "k\ufffd": "\ufffd",
        "literal": "\\u0000",
        "both": "\\\ufffd",
    }
    transcript = await journal.transcript(call.conversation.id)
    assert transcript is not None
    assert Message.model_validate(entry.payload) == transcript.messages[0]


# Pruning


async def test_old_calls_that_are_stored_go(path: Path, journal: Journal):
    old = Call()
    await journal.write([*old.opening(), old.said(), old.step(), *old.end()])
    assert await journal.outbox.prune(LATER) == 0
    await ship_all(journal.outbox)
    assert await journal.outbox.prune(at(10)) == 0
    assert await journal.outbox.prune(LATER) == 1
    for table in ("conversations", "sessions", "messages", "transitions", "applied_updates"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]


async def test_of_a_conversation_that_goes_on_only_the_latest_call_stays(
    path: Path, journal: Journal
):
    first = Call()
    second, third = Call(1_000, of=first.conversation), Call(2_000, of=first.conversation)
    for call in (first, second, third):
        await journal.write([*call.opening(), call.said(), *call.end()])
    await journal.write(
        [ConversationUpdate(id=first.conversation.id, title="New", updated_at=LATER)]
    )
    await ship_all(journal.outbox)
    assert await journal.outbox.prune(LATER) == 2
    transcript = await journal.transcript(first.conversation.id)
    assert transcript is not None
    assert [session.id for session in transcript.sessions] == [third.session.id]
    assert len(transcript.messages) == 1


@pytest.mark.parametrize("why", ["waiting", "aside", "never", "live", "recent"])
async def test_nothing_goes_that_may_be_needed(path: Path, why: str):
    journal = await Journal.connect(path, outbox=why != "never")
    call = Call()
    await journal.write([*call.opening(), call.said()])
    if why != "live":
        await journal.write(call.end())
    entries = await everything(journal.outbox)
    if why == "waiting":
        await journal.outbox.settle(entries[:-1], {})
    elif why == "aside":
        await journal.outbox.settle(entries[:-1], {entries[-1].position: "no"})
    else:
        await journal.outbox.settle(entries, {})
    assert await journal.outbox.prune(at(45) if why == "recent" else LATER) == 0
    transcript = await journal.transcript(call.conversation.id)
    assert transcript is not None
    assert len(transcript.messages) == 1
    await journal.aclose()


async def test_many_go_in_several_transactions(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sonora_app.storage.journal.pruning._PRUNED_AT_ONCE", 3)
    for number in range(10):
        call = Call(number * 100)
        await journal.write([*call.opening(), *call.end()])
    await ship_all(journal.outbox)
    assert await journal.outbox.prune(LATER) == 10
    assert await journal.conversations() == ()
