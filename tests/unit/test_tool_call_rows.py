"""What the journal keeps of the tools that were used: written, ended, shipped, moved and erased."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from sonora_app.errors import RecordRefusedError
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.provisional import Provisional
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import (
    Conversation,
    EndReason,
    ProvisionalConversation,
    Record,
    RecordedCall,
    Session,
    SessionUpdate,
    utc_now,
    uuid7,
)
from sonora_app.storage.tool_calls import RESULT_CHARS, ToolCall, ToolCallUpdate, ToolStatus

pytestmark = pytest.mark.unit

NOW = utc_now()


def opening(conversation_id: UUID | None = None) -> tuple[Conversation, Session]:
    conversation = Conversation(
        id=conversation_id or uuid7(), user_id="ana", created_at=NOW, updated_at=NOW
    )
    session = Session(
        id=uuid7(),
        conversation_id=conversation.id,
        transport="test",
        started_at=NOW,
        app_version="0",
    )
    return conversation, session


def tool(session: Session, name: str = "book") -> ToolCall:
    return ToolCall(
        id=uuid7(),
        conversation_id=session.conversation_id,
        session_id=session.id,
        name=name,
        arguments={"room": 7},
        idempotency_key="k",
        started_at=NOW,
    )


def end(call: ToolCall, status: ToolStatus, secs: float = 1, **fields: str) -> ToolCallUpdate:
    return ToolCallUpdate.model_validate(
        {
            "id": call.id,
            "conversation_id": call.conversation_id,
            "status": status,
            "ended_at": NOW + timedelta(seconds=secs),
            **fields,
        }
    )


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    return [(each.name, each.read_bytes()) for each in folder.iterdir() if each.is_file()]


async def calls(journal: Journal, conversation_id: UUID) -> list[ToolCall]:
    transcript = await journal.transcript(conversation_id)
    assert transcript is not None
    return list(transcript.tool_calls)


async def test_a_call_records_what_its_tools_did(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    conversation, session = opening()
    recorder = Recorder(
        journal, RecordedCall(conversation.id, session.id, 0, 0, None, (conversation, session))
    )
    asked = uuid7()
    first = recorder.tool_started("book", {"room": 7}, idempotency_key="k1", message_id=asked)
    second = recorder.tool_started("look_up", {}, idempotency_key="k2")
    recorder.tool_ended(second, ToolStatus.DONE, result="x" * (2 * RESULT_CHARS))
    recorder.tool_ended(first, ToolStatus.UNKNOWN)
    recorder.tool_ended(first, ToolStatus.DONE, result="[]")
    recorder.tool_ended(first, ToolStatus.FAILED, result="late")
    assert await recorder.aclose(timeout_secs=5) == 0

    book, look_up = await calls(journal, conversation.id)
    assert (book.id, look_up.id) == (first, second)
    assert (book.name, book.arguments, book.message_id) == ("book", {"room": 7}, asked)
    assert (book.status, book.result, book.idempotency_key) == (ToolStatus.DONE, "[]", "k1")
    assert look_up.result == "x" * (RESULT_CHARS - 1) + "…"
    assert book.secs is not None
    await journal.aclose()


async def test_the_first_end_counts_and_again_changes_nothing(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    conversation, session = opening()
    call = tool(session)
    done, late = end(call, ToolStatus.DONE, result="booked"), end(call, ToolStatus.FAILED, 2)
    for _ in range(2):
        await journal.write([conversation, session, call, done, late])
    assert await calls(journal, conversation.id) == [
        call.model_copy(
            update={"status": ToolStatus.DONE, "result": "booked", "ended_at": done.ended_at}
        )
    ]
    waiting = await journal.outbox.batch(10)
    assert [(entry.table, entry.operation) for entry in waiting] == [
        ("conversations", "insert"),
        ("sessions", "insert"),
        ("tool_calls", "insert"),
        ("tool_calls", "update"),
    ]
    assert "message_id" not in waiting[3].payload
    with pytest.raises(RecordRefusedError):
        await journal.write([end(tool(session), ToolStatus.DONE)])
    await journal.aclose()


async def test_what_a_dead_process_began_is_not_known_to_be_done(tmp_path: Path) -> None:
    """Also where its call had ended; what a living process began goes on."""
    path = tmp_path / "journal.db"
    conversation, session = opening()
    cut, ended = tool(session, "cut"), tool(session, "ended")
    dead = await Journal.connect(path)
    await dead.write([conversation, session, cut, ended, end(ended, ToolStatus.FAILED)])
    await dead.aclose()

    journal = await Journal.connect(path, outbox=True)
    _, goes_on = opening(conversation.id)
    alive = tool(goes_on, "alive")
    await journal.write([goes_on, alive])
    before = (await journal.outbox.counts()).pending
    assert await journal.close_orphans() == [session.id]
    found = {call.name: call for call in await calls(journal, conversation.id)}
    assert {name: call.status for name, call in found.items()} == {
        "cut": ToolStatus.UNKNOWN,
        "ended": ToolStatus.FAILED,
        "alive": ToolStatus.STARTED,
    }
    # It was noticed now, and ended nobody knows when.
    assert found["cut"].ended_at is not None
    assert (found["cut"].secs, found["ended"].secs) == (None, 1)
    # The end of the session, and that of the tool.
    assert (await journal.outbox.counts()).pending == before + 2
    assert await journal.close_orphans() == []
    await journal.aclose()


async def test_they_go_with_their_conversation_where_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await Journal.connect(path, outbox=True)
    asked_for = uuid7()
    conversation, session = opening()
    call = tool(session)
    records: list[Record] = [
        ProvisionalConversation(id=conversation.id, asked_for=asked_for, user_id="ana"),
        conversation,
        session,
        call,
    ]
    await journal.write(records)
    place = Provisional(conversation.id, asked_for, "ana")
    await journal.outbox.place(place, asked_for)
    over = SessionUpdate(id=session.id, ended_at=NOW, end_reason=EndReason.GOODBYE)
    await journal.write([end(call, ToolStatus.DONE, result="quokka"), over])
    (kept,) = await calls(journal, asked_for)
    assert (kept.conversation_id, kept.status) == (asked_for, ToolStatus.DONE)
    shipped = [entry for entry in await journal.outbox.batch(10) if entry.table == "tool_calls"]
    assert [entry.payload["conversation_id"] for entry in shipped] == [str(asked_for)] * 2

    await journal.erasure.erase({asked_for}, since=None)
    await journal.aclose()
    with closing(sqlite3.connect(path)) as connection:
        for table in ("tool_calls", "outbox"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert not [name for name, content in files_of(tmp_path) if b"quokka" in content]


async def test_a_call_is_pruned_only_once_its_tools_are_shipped(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    before = await Journal.connect(path)
    conversation, session = opening()
    call = tool(session)
    await before.write([conversation, session, call, end(call, ToolStatus.DONE)])
    await before.aclose()

    journal = await Journal.connect(path, outbox=True)
    assert await journal.unshipped(conversation.id) == {conversation.id, session.id, call.id}
    # What was kept before there was somewhere to ship to goes along when the talk goes on.
    _, again = opening(conversation.id)
    await journal.write([again])
    waiting = await journal.outbox.batch(10)
    (sent,) = [entry for entry in waiting if entry.table == "tool_calls"]
    assert ToolCall.model_validate(sent.payload).status is ToolStatus.DONE
    await journal.close_orphans()
    await journal.outbox.settle(await journal.outbox.batch(10), {})
    later = utc_now() + timedelta(days=40)
    assert await journal.outbox.prune(later) == 1
    assert await calls(journal, conversation.id) == []
    await journal.aclose()
