import asyncio
import json
import os
import sqlite3
import stat
import tempfile
import traceback
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonora_app.errors import ErrorCode, StorageError
from sonora_app.storage.journal import database
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.locks import turn
from sonora_app.storage.journal.migrations import MIGRATIONS
from sonora_app.storage.journal.queries import read_found
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    Message,
    Modality,
    Record,
    Session,
    SessionUpdate,
    Transition,
    uuid7,
)
from sonora_app.storage.store import Store
from sonora_app.storage.wanted import Wanted

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


def conversation(**fields: Any) -> Conversation:
    return Conversation(
        **{"id": uuid7(), "user_id": "ana", "created_at": at(0), "updated_at": at(0), **fields}
    )


def session(of: Conversation, **fields: Any) -> Session:
    defaults = {"id": uuid7(), "transport": "webrtc", "started_at": at(0), "app_version": "1.0"}
    return Session(**{**defaults, "conversation_id": of.id, **fields})


def message(of: Conversation, secs: float, **fields: Any) -> Message:
    defaults = {"id": uuid7(), "role": "user", "content": f"said at {secs}"}
    return Message(**{**defaults, "conversation_id": of.id, "created_at": at(secs), **fields})


def transition(of: Session, seq: int, **fields: Any) -> Transition:
    defaults = {"id": uuid7(), "from_node": "a", "to_node": "b", "trigger": "t"}
    return Transition(
        **{
            **defaults,
            "conversation_id": of.conversation_id,
            "session_id": of.id,
            "seq": seq,
            "created_at": at(seq),
            **fields,
        }
    )


def rows(path: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def execute(path: Path, sql: str, values: dict[str, Any] | None = None) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values or {})


def everything(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row but for what differs from run to run. Outbox rows in the order of their row."""
    tables = {
        "conversations": "SELECT * FROM conversations ORDER BY id",
        "sessions": "SELECT * FROM sessions ORDER BY id",
        "messages": "SELECT * FROM messages ORDER BY id",
        "transitions": "SELECT * FROM transitions ORDER BY id",
        "outbox": "SELECT table_name, row_id, operation, payload FROM outbox"
        " ORDER BY row_id, position",
    }
    found = {table: rows(path, sql) for table, sql in tables.items()}
    for row in found["sessions"]:
        del row["process_id"]
    for row in found["messages"]:
        del row["written_at"]
    return found


def content(path: Path) -> bytes:
    return path.read_bytes()


def replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def allow(path: Path, mode: int) -> None:
    path.chmod(mode)


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


def changes(folder: Path) -> dict[str, int]:
    """The files of the journal and when each was last changed."""
    return {found.name: found.stat().st_mtime_ns for found in folder.rglob("*.*")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


@pytest.fixture
async def journal(path: Path):
    opened = await Journal.connect(path)
    yield opened
    await opened.aclose()


# Opening


async def test_it_is_a_store_that_only_its_owner_can_read(path: Path):
    journal: Store = await Journal.connect(path)
    await journal.write([conversation()])
    for folder in (path.parent, path.parent / "processes"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [found for found in path.parent.rglob("*") if found.is_file()]
    assert {found.suffix for found in files} == {".db", ".db-wal", ".db-shm", ".lock"}
    assert {stat.S_IMODE(found.stat().st_mode) for found in files} == {0o600}
    await journal.aclose()


async def test_it_syncs_every_commit_in_a_write_ahead_log(journal: Journal):
    async def pragma(name: str) -> Any:
        return await journal._connection.transact(
            lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0], write=False
        )

    assert await pragma("journal_mode") == "wal"
    assert await pragma("synchronous") == 2
    assert await pragma("foreign_keys") == 1


async def test_what_was_written_is_there_after_reopening(path: Path):
    kept = conversation(title="Música", metadata={"nested": {"a": [1, None]}})
    first = await Journal.connect(path)
    await first.write([kept])
    await first.aclose()
    second = await Journal.connect(path)
    opening = (await second.look_up(kept.id, "ana", message_limit=5)).opening
    assert opening is not None
    assert opening.conversation == kept
    await second.aclose()


async def test_a_newer_journal_is_refused_and_left_alone(path: Path):
    await (await Journal.connect(path)).aclose()
    execute(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    rows(path, "PRAGMA journal_mode = DELETE")
    before = content(path)
    for read_only in (False, True):
        with pytest.raises(StorageError, match="newer version of Sonora") as caught:
            await Journal.connect(path, read_only=read_only)
        assert "Update Sonora" in caught.value.hint
        assert caught.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert content(path) == before
    assert names(path.parent / "processes") == []


async def test_a_migration_that_fails_leaves_no_half(path: Path, monkeypatch: pytest.MonkeyPatch):
    await (await Journal.connect(path)).aclose()
    broken = (*MIGRATIONS, ("CREATE TABLE added (id)", "CREATE TABLE conversations (id)"))
    monkeypatch.setattr("sonora_app.storage.journal.migrations.MIGRATIONS", broken)
    with pytest.raises(StorageError):
        await Journal.connect(path)
    assert rows(path, "SELECT name FROM sqlite_master WHERE name = 'added'") == []
    assert rows(path, "PRAGMA user_version") == [{"user_version": len(MIGRATIONS)}]


async def test_an_older_journal_is_migrated_for_writing_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    await (await Journal.connect(path)).aclose()
    longer = (*MIGRATIONS, ("CREATE TABLE added (id)",))
    monkeypatch.setattr("sonora_app.storage.journal.migrations.MIGRATIONS", longer)
    monkeypatch.setattr("sonora_app.storage.journal.connection.MIGRATIONS", longer)
    with pytest.raises(StorageError, match="older version"):
        await Journal.connect(path, read_only=True)
    await (await Journal.connect(path)).aclose()
    assert rows(path, "PRAGMA user_version") == [{"user_version": len(longer)}]
    await (await Journal.connect(path, read_only=True)).aclose()


async def test_many_may_open_a_new_journal_at_once(path: Path):
    journals = await asyncio.gather(*(Journal.connect(path) for _ in range(8)))
    await asyncio.gather(*(journal.write([conversation()]) for journal in journals))
    assert len(await journals[0].conversations()) == 8
    await asyncio.gather(*(journal.aclose() for journal in journals))


async def test_starting_and_judging_the_dead_wait_for_each_other(path: Path):
    """Between making its lock file and locking it, a process looks dead."""
    judge = await Journal.connect(path)
    with turn(path.with_suffix(".lock"), timeout_secs=1):
        waiting = {
            asyncio.create_task(Journal.connect(path)),
            asyncio.create_task(judge.close_orphans()),
        }
        done, _ = await asyncio.wait(waiting, timeout=0.3)
        assert done == set()
    results = await asyncio.gather(*waiting)
    for opened in (judge, *(one for one in results if isinstance(one, Journal))):
        await opened.aclose()


async def test_a_start_that_hangs_does_not_hold_up_others_for_good(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sonora_app.storage.journal.connection.BUSY_TIMEOUT_SECS", 0.05)
    await (await Journal.connect(path)).aclose()
    with (
        turn(path.with_suffix(".lock"), timeout_secs=1),
        pytest.raises(StorageError, match="busy"),
    ):
        await Journal.connect(path)


async def test_closing_finishes_what_is_under_way_and_may_be_repeated(path: Path):
    journal = await Journal.connect(path)
    kept = conversation()
    writing = asyncio.create_task(journal.write([kept]))
    await asyncio.sleep(0)
    await asyncio.gather(journal.aclose(), journal.aclose())
    await journal.aclose()
    await writing
    assert [row["id"] for row in rows(path, "SELECT id FROM conversations")] == [str(kept.id)]
    assert names(path.parent / "processes") == []
    for call in (journal.write([kept]), journal.conversations(), journal.close_orphans()):
        with pytest.raises(StorageError, match="closed"):
            await call


# Writing


async def test_a_write_repeated_changes_nothing(path: Path):
    journal = await Journal.connect(path, outbox=True)
    kept = conversation()
    call = session(kept)
    said = message(kept, 1, session_id=call.id, seq=1)
    step = transition(call, 1)
    first = ConversationUpdate(id=kept.id, title="First", updated_at=at(2))
    second = ConversationUpdate(id=kept.id, title="Second", updated_at=at(3))
    ended = SessionUpdate(id=call.id, ended_at=at(4), end_reason=EndReason.GOODBYE)
    records = [kept, call, said, step, first, second, ended]
    await journal.write(records)
    before = everything(path)
    assert [len(before[table]) for table in before] == [1, 1, 1, 1, 7]
    assert before["conversations"][0]["title"] == "Second"

    await journal.write(records)
    await journal.write([first, said])
    other = said.model_copy(update={"content": "other words"})
    stolen = kept.model_copy(update={"user_id": "eve", "title": "Mine"})
    await journal.write([other, stolen])
    assert everything(path) == before
    await journal.aclose()


async def test_partial_updates_leave_the_rest(path: Path, journal: Journal):
    kept = conversation(language="es", metadata={"a": 1, "b": {"x": 1}})
    call = session(kept, metrics={"turns": 1})
    await journal.write([kept, call])
    await journal.write(
        [
            ConversationUpdate(
                id=kept.id, title="Title", metadata={"b": {"y": 2}, "c": None}, updated_at=at(9)
            ),
            ConversationUpdate(
                id=kept.id, status=ConversationStatus.COMPLETED, summary="Said.", updated_at=at(5)
            ),
            SessionUpdate(
                id=call.id, ended_at=at(8), end_reason=EndReason.GOODBYE, metrics={"tokens": 2}
            ),
        ]
    )
    transcript = await journal.transcript(kept.id)
    assert transcript is not None
    assert transcript.conversation == kept.model_copy(
        update={
            "title": "Title",
            "summary": "Said.",
            "status": ConversationStatus.COMPLETED,
            "metadata": {"a": 1, "b": {"y": 2}, "c": None},
            "updated_at": at(9),
        }
    )
    assert transcript.sessions == (
        call.model_copy(
            update={
                "ended_at": at(8),
                "end_reason": EndReason.GOODBYE,
                "metrics": {"turns": 1, "tokens": 2},
            }
        ),
    )


async def test_two_writers_of_one_conversation_do_not_undo_each_other(path: Path):
    one, other = await Journal.connect(path), await Journal.connect(path)
    kept = conversation()
    await one.write([kept])
    await asyncio.gather(
        *(
            journal.write([ConversationUpdate(id=kept.id, metadata={key: True}, updated_at=at(1))])
            for n in range(10)
            for journal, key in ((one, f"one-{n}"), (other, f"other-{n}"))
        )
    )
    opening = (await one.look_up(kept.id, "ana", message_limit=0)).opening
    assert opening is not None
    assert len(opening.conversation.metadata) == 20
    await one.aclose()
    await other.aclose()


async def test_messages_move_the_conversation_forward_only(journal: Journal):
    kept = conversation()
    await journal.write([kept, message(kept, 20), message(kept, 10)])
    (listing,) = await journal.conversations()
    assert listing.conversation.last_message_at == at(20)
    assert listing.conversation.updated_at == at(20)
    assert listing.messages == 2


@pytest.mark.parametrize(
    "wrong",
    [
        message(conversation(), 1),
        message(conversation(), 1, session_id=uuid7()),
        session(conversation()),
        transition(session(conversation()), 1),
        ConversationUpdate(id=uuid7(), title="None", updated_at=at(1)),
        SessionUpdate(id=uuid7(), ended_at=at(1), end_reason=EndReason.ERROR),
        Record(),
    ],
    ids=lambda wrong: type(wrong).__name__,
)
async def test_a_record_that_does_not_fit_leaves_nothing_of_its_batch(path: Path, wrong: Record):
    journal = await Journal.connect(path, outbox=True)
    before = everything(path)
    with pytest.raises(StorageError):
        await journal.write([conversation(), wrong, conversation()])
    assert everything(path) == before
    await journal.write([conversation()])
    assert len(await journal.conversations()) == 1
    await journal.aclose()


async def test_the_outbox_has_what_changed_in_order(path: Path):
    journal = await Journal.connect(path, outbox=True)
    kept = conversation(metadata={"n": float("nan")})
    call = session(kept)
    said = message(kept, 1, session_id=call.id, seq=1, images=[{"url": "x"}])
    update = ConversationUpdate(id=kept.id, title="T", metadata={"k": None}, updated_at=at(2))
    await journal.write([kept, call])
    await journal.write([kept, said, update])
    shipped = rows(path, "SELECT * FROM outbox ORDER BY position")
    assert [(row["table_name"], row["row_id"], row["operation"]) for row in shipped] == [
        ("conversations", str(kept.id), "insert"),
        ("sessions", str(call.id), "insert"),
        ("messages", str(said.id), "insert"),
        ("conversations", str(kept.id), "update"),
    ]
    payloads = [json.loads(row["payload"]) for row in shipped]
    assert payloads[0]["metadata"] == {"n": None}
    assert "process_id" not in payloads[1]
    assert Message.model_validate(payloads[2]) == said
    assert payloads[3] == {
        "id": str(kept.id),
        "title": "T",
        "metadata": {"k": None},
        "updated_at": "2026-03-01T12:00:02Z",
    }
    await journal.aclose()


async def test_without_an_outbox_nothing_waits_in_it(path: Path, journal: Journal):
    kept = conversation()
    await journal.write([kept, message(kept, 1)])
    assert rows(path, "SELECT * FROM outbox") == []


async def test_times_are_text_of_one_width_in_utc(path: Path, journal: Journal):
    east = timezone(timedelta(hours=5, minutes=30))
    kept = conversation(created_at=at(0).astimezone(east), updated_at=at(0.5))
    await journal.write([kept])
    (row,) = rows(path, "SELECT created_at, updated_at FROM conversations")
    assert row == {
        "created_at": "2026-03-01T12:00:00.000000+00:00",
        "updated_at": "2026-03-01T12:00:00.500000+00:00",
    }


async def test_half_a_surrogate_pair_does_not_stop_a_write(journal: Journal):
    kept = conversation(metadata={"said": "\ud800"})
    await journal.write([kept, message(kept, 1, content="¡Olé! \U0001f600 \ud83d")])
    transcript = await journal.transcript(kept.id)
    assert transcript is not None
    assert transcript.conversation.metadata == {"said": "\ufffd"}
    assert transcript.messages[0].content == "¡Olé! \U0001f600 \ufffd"


async def test_values_are_never_read_as_sql(journal: Journal):
    kept = conversation(user_id="x' OR '1'='1", title="'); DROP TABLE messages; --")
    await journal.write([kept])
    assert await journal.conversations(Wanted(user_id="' OR 1=1 --")) == ()
    (listing,) = await journal.conversations(Wanted(user_id=kept.user_id))
    assert listing.conversation == kept


# Reading


async def test_what_is_not_kept_is_none(journal: Journal):
    assert (await journal.look_up(uuid7(), "ana", message_limit=10)).opening is None
    assert await journal.transcript(uuid7()) is None
    assert await journal.conversations() == ()


async def test_opening_gives_the_newest_messages_oldest_first(journal: Journal):
    kept, other = conversation(), conversation()
    call = session(kept)
    said = [message(kept, secs, session_id=call.id, seq=secs) for secs in range(1, 11)]
    steps = [transition(call, seq) for seq in (1, 2, 3)]
    elsewhere = [message(other, 50, seq=99)]
    await journal.write([kept, other, call, *reversed(said), *steps, *elsewhere])
    opening = (await journal.look_up(kept.id, "ana", message_limit=4)).opening
    assert opening is not None
    assert opening.messages == tuple(said[-4:])
    assert opening.older_messages == 6
    assert opening.last_message_seq == 10
    assert opening.last_transition_seq == 3
    nothing = (await journal.look_up(kept.id, "ana", message_limit=0)).opening
    assert nothing is not None
    assert (nothing.messages, nothing.older_messages) == ((), 10)
    empty = (await journal.look_up(other.id, "ana", message_limit=10)).opening
    assert empty is not None
    assert (empty.last_message_seq, empty.last_transition_seq) == (99, 0)


async def test_order_is_by_time_then_seq_and_rows_without_seq_come_first(journal: Journal):
    kept = conversation()
    ordered = [
        message(kept, 1, seq=9),
        message(kept, 2, seq=None),
        message(kept, 2, seq=None),
        message(kept, 2, seq=3),
        message(kept, 2, seq=10),
        message(kept, 2.000001, seq=1),
    ]
    await journal.write([kept, *(ordered[n] for n in (4, 2, 5, 0, 3, 1))])
    transcript = await journal.transcript(kept.id)
    assert transcript is not None
    assert transcript.messages == tuple(ordered)
    for limit in range(7):
        opening = (await journal.look_up(kept.id, "ana", message_limit=limit)).opening
        assert opening is not None
        assert opening.messages == tuple(ordered[len(ordered) - limit :])


async def test_a_transcript_is_everything_oldest_first(journal: Journal):
    kept = conversation()
    calls = [session(kept, started_at=at(secs)) for secs in (0, 10)]
    said = [
        message(
            kept,
            secs,
            session_id=calls[0].id,
            seq=secs,
            role="assistant",
            modality=Modality.TEXT,
            interrupted=True,
            node="conversation",
            metrics={"ttfb_ms": 120.5},
        )
        for secs in (1, 2)
    ]
    steps = [transition(calls[0], seq, arguments={"n": seq}) for seq in (1, 2)]
    await journal.write([kept, *reversed(calls), *reversed(said), *reversed(steps)])
    transcript = await journal.transcript(kept.id)
    assert transcript is not None
    assert transcript.sessions == tuple(calls)
    assert transcript.messages == tuple(said)
    assert transcript.transitions == tuple(steps)


async def test_deleted_messages_are_left_out_but_their_seq_is_not_used_again(
    path: Path, journal: Journal
):
    kept = conversation()
    said = [message(kept, secs, seq=secs) for secs in (1, 2, 3)]
    gone = message(kept, 4, seq=4, deleted_at=at(5))
    await journal.write([kept, *said, gone])
    execute(
        path,
        "UPDATE messages SET deleted_at = '2026-03-02' WHERE id = :id",
        {"id": str(said[0].id)},
    )
    execute(path, "DELETE FROM messages WHERE id = :id", {"id": str(said[1].id)})
    opening = (await journal.look_up(kept.id, "ana", message_limit=10)).opening
    transcript = await journal.transcript(kept.id)
    (listing,) = await journal.conversations()
    assert opening is not None
    assert transcript is not None
    assert opening.messages == transcript.messages == (said[2],)
    assert (opening.older_messages, opening.last_message_seq, listing.messages) == (0, 4, 1)


async def test_rows_of_the_text_chat_api_are_read(path: Path, journal: Journal):
    kept = conversation()
    await journal.write([kept, message(kept, 5, seq=1)])
    values = {"id": str(uuid7()), "conversation": str(kept.id)}
    execute(
        path,
        "INSERT INTO messages (id, conversation_id, role, content, images, created_at) VALUES"
        """ (:id, :conversation, 'agent', NULL, '[{"url": "a"}, "b"]', '2026-03-01T12:00:01Z')""",
        values,
    )
    opening = (await journal.look_up(kept.id, "ana", message_limit=10)).opening
    assert opening is not None
    theirs = opening.messages[0]
    assert theirs == Message(
        id=UUID(values["id"]),
        conversation_id=kept.id,
        role="agent",
        modality=Modality.TEXT,
        images=[{"url": "a"}, "b"],
        created_at=at(1),
    )
    assert len(opening.messages) == 2


async def test_a_row_that_cannot_be_read_is_a_storage_error_without_its_words(
    path: Path, journal: Journal
):
    kept = conversation()
    await journal.write([kept])
    execute(path, "UPDATE conversations SET title = 'secret', metadata = '{secret'")
    with pytest.raises(StorageError) as caught:
        await journal.conversations()
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    execute(path, "UPDATE conversations SET metadata = '{}', status = 'secret'")
    with pytest.raises(StorageError, match="Conversation: status") as caught:
        await journal.conversations()
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    execute(path, "UPDATE conversations SET title = CAST(x'736563726574ff' AS TEXT)")
    with pytest.raises(StorageError) as caught:
        await journal.conversations()
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_listing_puts_the_one_talked_in_last_first(journal: Journal):
    old, recent, empty, theirs = (
        conversation(created_at=at(secs), updated_at=at(secs), user_id=user)
        for secs, user in ((0, "ana"), (10, "ana"), (500, "ana"), (20, "ben"))
    )
    await journal.write([old, recent, empty, theirs])
    await journal.write([message(recent, 30), message(old, 100), message(theirs, 60)])
    listed = [listing.conversation.id for listing in await journal.conversations()]
    assert listed == [old.id, theirs.id, recent.id, empty.id]
    mine = await journal.conversations(Wanted(user_id="ana"), limit=2)
    assert [listing.conversation.id for listing in mine] == [old.id, recent.id]
    assert [listing.messages for listing in mine] == [1, 1]


def fill(
    connection: sqlite3.Connection, kept: Conversation, seqs: range, deleted: bool = False
) -> None:
    with connection:
        connection.execute(
            "WITH RECURSIVE n (seq) AS (SELECT ?2 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?3)"
            " INSERT INTO messages"
            " (id, conversation_id, seq, role, content, created_at, deleted_at)"
            " SELECT substr(?1, 1, 24) || printf('%012x', seq), ?1, seq, 'user', 'said',"
            " strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', '2026-03-01', seq || ' seconds'), ?4"
            " FROM n",
            (str(kept.id), seqs[0], seqs[-1], "2026-04-01" if deleted else None),
        )


async def test_opening_a_long_conversation_costs_what_a_short_one_does(path: Path):
    """Counts SQLite's own steps, so that the result is the same on every machine."""
    short, long, purged = conversation(), conversation(), conversation()
    journal = await Journal.connect(path)
    await journal.write([short, long, purged])
    await journal.aclose()
    steps: list[int] = []
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        fill(connection, short, range(1, 21))
        fill(connection, long, range(1, 20_001))
        fill(connection, purged, range(1, 21))
        fill(connection, purged, range(21, 5_001), deleted=True)
        connection.set_progress_handler(lambda: steps.append(1), 1)
        costs: list[int] = []
        for kept, older, last in ((short, 0, 20), (long, 19_980, 20_000), (purged, 0, 5_000)):
            steps.clear()
            opening = read_found(connection, kept.id, "ana", message_limit=20).opening
            costs.append(len(steps))
            assert opening is not None
            assert (len(opening.messages), opening.older_messages) == (20, older)
            assert opening.last_message_seq == last
    assert costs[0] > 100
    assert max(costs) < costs[0] * 1.1


async def test_no_query_of_a_call_scans_a_table(path: Path):
    await (await Journal.connect(path)).aclose()
    statements: list[str] = []
    kept = conversation()
    journal = await Journal.connect(path, outbox=True)

    await journal._connection.transact(
        lambda connection: connection.set_trace_callback(statements.append), write=False
    )
    call = session(kept)
    await journal.write([kept, call, message(kept, 1, session_id=call.id), transition(call, 1)])
    await journal.write([ConversationUpdate(id=kept.id, title="T", updated_at=at(1))])
    await journal.look_up(kept.id, "ana", message_limit=40)
    await journal.conversations(Wanted(user_id="ana"))
    await journal.aclose()
    with closing(sqlite3.connect(path)) as connection:
        plans = {
            statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for statement in statements
            if statement.lstrip().startswith(("SELECT", "UPDATE", "INSERT"))
        }
    assert len(plans) > 8
    slow = ("SCAN messages", "SCAN conversations", "SCAN sessions", "SCAN transitions", "TEMP")
    assert {
        statement: plan
        for statement, plan in plans.items()
        if any(word in step for step in plan for word in slow)
    } == {}
    assert any("messages_in_order" in step for plan in plans.values() for step in plan)


# Sessions that a crash left behind


async def abandon(journal: Journal) -> None:
    """Let go of the journal as a killed process does: the lock is gone, its file is not."""
    process = journal._connection._process
    assert process is not None
    journal._connection._process = None
    os.close(process._descriptor)
    await journal.aclose()


async def test_orphans_end_at_their_last_message(path: Path):
    died = await Journal.connect(path, outbox=True)
    talked, silent, done = (conversation() for _ in range(3))
    calls = [session(talked), session(silent, started_at=at(3)), session(done, started_at=at(4))]
    ended = SessionUpdate(id=calls[2].id, ended_at=at(9), end_reason=EndReason.GOODBYE)
    completed = ConversationUpdate(
        id=done.id, status=ConversationStatus.COMPLETED, updated_at=at(9)
    )
    said = [message(talked, secs, session_id=calls[0].id, seq=secs) for secs in (1, 7)]
    await died.write([talked, silent, done, *calls, *said, ended, completed])
    await abandon(died)
    assert len(names(path.parent / "processes")) == 1

    journal = await Journal.connect(path, outbox=True)
    assert await journal.close_orphans() == [calls[0].id, calls[1].id]
    assert await journal.close_orphans() == []
    found = rows(path, "SELECT id, ended_at, end_reason FROM sessions ORDER BY started_at")
    assert [row["end_reason"] for row in found] == ["crashed", "crashed", "goodbye"]
    assert [datetime.fromisoformat(row["ended_at"]) for row in found] == [at(7), at(3), at(9)]
    statuses = {
        row.conversation.id: row.conversation.status for row in await journal.conversations()
    }
    assert statuses == {
        talked.id: ConversationStatus.FAILED,
        silent.id: ConversationStatus.FAILED,
        done.id: ConversationStatus.COMPLETED,
    }
    shipped = rows(path, "SELECT table_name, operation FROM outbox ORDER BY position")
    assert [tuple(row.values()) for row in shipped[-4:]] == [
        ("sessions", "update"),
        ("sessions", "update"),
        ("conversations", "update"),
        ("conversations", "update"),
    ]
    assert len(names(path.parent / "processes")) == 1
    await journal.aclose()


async def test_the_living_do_not_close_each_others_sessions(path: Path):
    one, other = await Journal.connect(path), await Journal.connect(path)
    kept = conversation()
    await one.write([kept, session(kept)])
    await other.write([session(kept, started_at=at(1))])
    assert await one.close_orphans() == []
    assert await other.close_orphans() == []
    await one.aclose()
    await other.aclose()


async def test_a_conversation_in_use_elsewhere_does_not_fail(path: Path):
    died, alive = await Journal.connect(path), await Journal.connect(path)
    kept = conversation()
    lost, live = session(kept), session(kept, started_at=at(1))
    await died.write([kept, lost])
    await alive.write([live])
    await abandon(died)
    assert await alive.close_orphans() == [lost.id]
    (listing,) = await alive.conversations()
    assert listing.conversation.status is ConversationStatus.ACTIVE
    await alive.aclose()


async def test_a_conversation_that_ended_well_since_does_not_fail(path: Path):
    died, alive = await Journal.connect(path), await Journal.connect(path)
    kept = conversation()
    lost, later = session(kept), session(kept, started_at=at(1))
    await died.write([kept, lost])
    await alive.write(
        [
            later,
            SessionUpdate(id=later.id, ended_at=at(2), end_reason=EndReason.GOODBYE),
            ConversationUpdate(id=kept.id, status=ConversationStatus.COMPLETED, updated_at=at(2)),
        ]
    )
    await abandon(died)
    assert await alive.close_orphans() == [lost.id]
    (listing,) = await alive.conversations()
    assert listing.conversation.status is ConversationStatus.COMPLETED
    await alive.aclose()


async def test_a_lock_file_that_is_gone_counts_as_a_dead_process(path: Path):
    died = await Journal.connect(path)
    kept = conversation()
    lost = session(kept)
    await died.write([kept, lost])
    await died.aclose()
    journal = await Journal.connect(path)
    assert await journal.close_orphans() == [lost.id]
    await journal.aclose()


async def test_closing_orphans_all_or_none(path: Path, monkeypatch: pytest.MonkeyPatch):
    died = await Journal.connect(path)
    kept = conversation()
    await died.write([kept, session(kept), session(kept, started_at=at(1))])
    await abandon(died)
    journal = await Journal.connect(path)
    execute(
        path,
        "CREATE TRIGGER refuse BEFORE UPDATE OF status ON conversations"
        " BEGIN SELECT raise(ABORT, 'no'); END",
    )
    with pytest.raises(StorageError):
        await journal.close_orphans()
    assert len(rows(path, "SELECT * FROM sessions WHERE ended_at IS NULL")) == 2
    await journal.aclose()


# Reading only


async def test_reading_where_nothing_is_kept_says_so_and_makes_nothing(tmp_path: Path):
    for missing in (tmp_path / "journal.db", tmp_path / "none" / "journal.db"):
        with pytest.raises(StorageError, match="nothing kept yet") as caught:
            await Journal.connect(missing, read_only=True)
        assert caught.value.hint
    assert names(tmp_path) == []
    replace(tmp_path / "journal.db", b"")
    with pytest.raises(StorageError, match="nothing kept yet"):
        await Journal.connect(tmp_path / "journal.db", read_only=True)


async def test_reading_leaves_the_folder_as_it_was(path: Path):
    writer = await Journal.connect(path)
    kept = conversation()
    await writer.write([kept, session(kept)])
    await writer.aclose()
    before, kept_bytes = changes(path.parent), content(path)
    reader = await Journal.connect(path, read_only=True)
    assert len(await reader.conversations()) == 1
    for refused in (reader.write([conversation()]), reader.close_orphans()):
        with pytest.raises(StorageError, match="reading only"):
            await refused
    await reader.aclose()
    assert (changes(path.parent), content(path)) == (before, kept_bytes)


async def test_reading_while_another_writes(path: Path):
    writer = await Journal.connect(path)
    kept = conversation()
    await writer.write([kept])
    reader = await Journal.connect(path, read_only=True)
    counts: list[int] = []
    for seq in range(1, 30):
        await writer.write([message(kept, seq, seq=seq)])
        opening = (await reader.look_up(kept.id, "ana", message_limit=100)).opening
        assert opening is not None
        assert opening.last_message_seq == len(opening.messages)
        counts.append(len(opening.messages))
    assert counts == list(range(1, 30))

    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert len(await reader.conversations()) == 1
        late = await Journal.connect(path, read_only=True)
        assert len(await late.conversations()) == 1
        await late.aclose()
    await writer.aclose()
    await reader.aclose()


@contextmanager
def folder_that_nobody_may_write() -> Generator[Path]:
    """A folder in which this process may write only until `lock_up`, even when it is root."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Path(folder)
        finally:
            os.seteuid(os.getuid())
            allow(Path(folder), 0o700)


def lock_up(folder: Path) -> None:
    for found in folder.iterdir():
        allow(found, 0o444 if found.is_file() else 0o555)
    allow(folder, 0o555)
    if os.getuid() == 0:
        os.seteuid(65534)


async def test_reading_from_a_folder_that_cannot_be_written():
    with folder_that_nobody_may_write() as folder:
        path = folder / "journal.db"
        writer = await Journal.connect(path)
        await writer.write([conversation()])
        await writer.aclose()
        lock_up(folder)
        reader = await Journal.connect(path, read_only=True)
        assert len(await reader.conversations()) == 1
        await reader.aclose()
        with pytest.raises(StorageError, match="cannot be used: Permission denied"):
            await Journal.connect(path)


async def test_reading_from_such_a_folder_while_its_owner_writes():
    with folder_that_nobody_may_write() as folder:
        path = folder / "journal.db"
        writer = await Journal.connect(path)
        kept = conversation()
        await writer.write([kept])
        lock_up(folder)
        reader = await Journal.connect(path, read_only=True)
        for secs in range(3):
            await writer.write([message(kept, secs)])
            (listing,) = await reader.conversations()
            assert listing.messages == secs + 1
        await reader.aclose()
        os.seteuid(os.getuid())
        allow(folder, 0o700)
        await writer.aclose()


# Failures


async def test_a_write_that_waits_leaves_the_loop_free(path: Path, journal: Journal):
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(journal.write([conversation()]))
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not writing.done()
        holder.execute("COMMIT")
    await writing
    assert len(await journal.conversations()) == 1


async def test_a_journal_that_stays_locked_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECS", 0.05)
    journal = await Journal.connect(path)
    kept = conversation()
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="busy"):
            await journal.write([kept])
        holder.execute("COMMIT")
    await journal.write([kept])
    assert len(await journal.conversations()) == 1
    await journal.aclose()


async def test_a_full_disk_is_a_storage_error_and_recovers(path: Path, journal: Journal):
    async def limit(pages: int) -> None:
        await journal._connection.transact(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"), write=False
        )

    await limit(1)
    kept = conversation(summary="word " * 20_000)
    with pytest.raises(StorageError, match="disk is full") as caught:
        await journal.write([conversation(), kept])
    assert caught.value.hint
    assert await journal.conversations() == ()
    await limit(1_000_000)
    await journal.write([kept])
    assert len(await journal.conversations()) == 1


async def test_what_is_not_a_journal_is_refused_as_it_is(path: Path):
    replace(path, b"not a database, but somebody's notes" * 100)
    before = content(path)
    for read_only in (False, True):
        with pytest.raises(StorageError, match="not a journal"):
            await Journal.connect(path, read_only=read_only)
    assert content(path) == before


async def test_a_damaged_journal_is_a_storage_error(path: Path):
    journal = await Journal.connect(path)
    await journal.write([conversation(summary="word " * 5000) for _ in range(5)])
    await journal.aclose()
    healthy = content(path)
    replace(path, healthy[:4096] + b"\xff" * (len(healthy) - 4096))
    reader = await Journal.connect(path, read_only=True)
    with pytest.raises(StorageError, match="damaged"):
        await reader.conversations()
    await reader.aclose()


async def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be used") as caught:
        await Journal.connect(tmp_path / "file" / "journal.db")
    assert "SONORA_DATA_DIR" in caught.value.hint


# Any order, any repetition


MOMENTS = st.integers(0, 1000).map(at)
WORDS = st.text(alphabet="aé ñ", max_size=4)
OBJECTS = st.dictionaries(st.sampled_from("xyz"), st.none() | st.integers(0, 9), max_size=3)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """The records of up to two conversations in an order in which they can be written."""
    kept = [conversation(created_at=at(0), updated_at=draw(MOMENTS)) for _ in range(2)]
    calls = [session(draw(st.sampled_from(kept)), started_at=draw(MOMENTS)) for _ in range(3)]
    records: list[Record] = [*kept, *calls]
    for _ in range(draw(st.integers(0, 12))):
        call = draw(st.sampled_from(calls))
        owner = next(one for one in kept if one.id == call.conversation_id)
        kind = draw(st.sampled_from(("message", "transition", "conversation", "session")))
        if kind == "message":
            seq = draw(st.none() | st.integers(1, 5))
            records.append(
                message(
                    owner,
                    draw(st.integers(0, 1000)),
                    session_id=draw(st.sampled_from((None, call.id))),
                    seq=seq,
                    content=draw(st.none() | WORDS),
                    metadata=draw(OBJECTS),
                    deleted_at=draw(st.none() | MOMENTS),
                )
            )
        elif kind == "transition":
            records.append(transition(call, draw(st.integers(1, 5)), arguments=draw(OBJECTS)))
        elif kind == "conversation":
            records.append(
                ConversationUpdate(
                    id=owner.id,
                    title=draw(st.none() | WORDS),
                    status=draw(st.none() | st.sampled_from(ConversationStatus)),
                    metadata=draw(st.none() | OBJECTS),
                    updated_at=draw(MOMENTS),
                )
            )
        else:
            records.append(
                SessionUpdate(
                    id=call.id,
                    ended_at=draw(MOMENTS),
                    end_reason=draw(st.sampled_from(EndReason)),
                    metrics=draw(OBJECTS),
                )
            )
    return records


def may_come_before(record: Record, earlier: Sequence[Record]) -> bool:
    """Whether `record` needs none of `earlier`, and changes nothing that they change."""
    needed = {getattr(record, "conversation_id", None), getattr(record, "session_id", None)}
    rows_of = [other for other in earlier if isinstance(other, Conversation | Session)]
    if isinstance(record, ConversationUpdate | SessionUpdate):
        return all(getattr(other, "id", None) != record.id for other in earlier)
    return all(other.id not in needed for other in rows_of)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), history=histories())
def test_any_order_of_batches_with_repetitions_gives_the_same_rows(
    data: st.DataObject, history: list[Record]
):
    waiting, written = list(history), []
    batches: list[list[Record]] = [[]]
    while waiting:
        ready = [n for n, record in enumerate(waiting) if may_come_before(record, waiting[:n])]
        record = waiting.pop(data.draw(st.sampled_from(ready)))
        written.append(record)
        batches[-1].append(record)
        batches[-1].extend(data.draw(st.lists(st.sampled_from(written), max_size=2)))
        if data.draw(st.booleans()):
            batches.append([])

    async def keep(path: Path, batches: list[list[Record]]) -> dict[str, list[dict[str, Any]]]:
        journal = await Journal.connect(path, outbox=True)
        for batch in batches:
            await journal.write(batch)
        await journal.aclose()
        return everything(path)

    with tempfile.TemporaryDirectory() as folder:
        straight = asyncio.run(keep(Path(folder) / "a" / "journal.db", [[one] for one in history]))
        shuffled = asyncio.run(keep(Path(folder) / "b" / "journal.db", batches))
    assert shuffled == straight
