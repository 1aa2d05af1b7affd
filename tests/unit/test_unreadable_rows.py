"""What the stores give, as records: one row that cannot be read costs nothing around it."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.clients.kept_journal import write_journal
from simulators.clients.logged import logged
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.supabase.rows import found_in, readable, to_message

pytestmark = pytest.mark.unit

AT = "2026-11-24T18:00:00+00:00"
CONVERSATION = str(uuid4())


def row(content: object, **more: object) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "conversation_id": CONVERSATION,
        "role": "user",
        "content": content,
        "created_at": AT,
        **more,
    }


def answer(*messages: object, **conversation: object) -> dict[str, Any]:
    kept = {"id": CONVERSATION, "user_id": "ana", "created_at": AT, "last_message_at": AT}
    return {
        "previous": None,
        "known": {"memories": [], "choice": None, "shared": []},
        "conversation": {**kept, **conversation},
        "messages": list(messages),
        "older_messages": 0,
        "last_message_seq": 0,
        "last_transition_seq": 0,
    }


@pytest.mark.parametrize(
    "odd",
    [
        row({"parts": ["secreto"]}),
        row(["secreto"]),
        row(7),
        row("secreto", role=None),
        row("secreto", role={"name": "user"}),
        row("secreto", created_at="infinity"),
        row("secreto", created_at="-infinity"),
        row("secreto", created_at="10000-01-01T00:00:00+00:00"),
        row("secreto", deleted_at="infinity"),
        row("secreto", id="7"),
        row("secreto", seq="siete"),
        row("secreto", interrupted="quizá"),
        "secreto",
        None,
    ],
)
def test_a_message_that_cannot_be_read_loses_only_itself(
    odd: object,
) -> None:
    with logged() as lines:
        opening = found_in(answer(row("antes"), odd, row("después"))).opening

    assert opening is not None
    assert [message.content for message in opening.messages] == ["antes", "después"]
    assert len(lines) == 1
    assert "secreto" not in lines[0]


@pytest.mark.parametrize(
    "odd",
    [
        {"title": {"a": 1}, "summary": ["x"], "language": 7, "metadata": "x", "status": 3},
        {"created_at": "infinity", "updated_at": "-infinity", "last_message_at": "infinity"},
    ],
)
def test_a_conversation_opens_whatever_its_columns_hold(odd: dict[str, object]) -> None:
    opening = found_in(answer(row("antes"), **odd)).opening

    assert opening is not None
    assert opening.conversation.user_id == "ana"
    assert opening.conversation.last_message_at == datetime(2026, 11, 24, 18, tzinfo=UTC) or (
        opening.conversation.last_message_at == datetime(1970, 1, 1, tzinfo=UTC)
    )
    assert [message.content for message in opening.messages] == ["antes"]


def test_a_previous_conversation_that_cannot_be_read_is_none() -> None:
    found = found_in({**answer(row("antes")), "previous": {"id": "7"}})

    assert found.previous is None
    assert found.opening is not None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(row(""))), _json, min_size=1))
def test_whatever_a_row_holds_its_neighbours_stay(odd: dict[str, Any]) -> None:
    kept = readable([row("antes"), {**row("x"), **odd}, row("después")], to_message)

    assert [kept[0].content, kept[-1].content] == ["antes", "después"]


async def test_a_row_of_the_journal_that_cannot_be_read_loses_only_itself(tmp_path: Path) -> None:
    kept = await asyncio.to_thread(write_journal, tmp_path / "journal.db")
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("UPDATE messages SET metadata = '{' WHERE seq = 2")
        connection.execute("UPDATE messages SET created_at = 'infinity' WHERE seq = 3")
    journal = await Journal.connect(tmp_path / "journal.db", read_only=True)
    transcript = await journal.transcript(kept.talk)
    found = await journal.look_up(kept.talk, "ana", message_limit=40)
    await journal.aclose()

    assert transcript is not None
    assert found.opening is not None
    for messages in (transcript.messages, found.opening.messages):
        assert {message.seq for message in messages} == {1, None}
