"""Labels of conversations in the journal: found by, taken away, shipped, moved and erased."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sonora_app.commands.labelling import Place, give, place_in, take_away
from sonora_app.errors import NotFoundError, RecordRefusedError
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.person_rows import WhoseRows, count_rows
from sonora_app.storage.journal.provisional import Provisional
from sonora_app.storage.labels import Label, LabelUpdate, as_name, in_both, is_name, standing
from sonora_app.storage.records import (
    Conversation,
    EndReason,
    Message,
    ProvisionalConversation,
    Session,
    SessionUpdate,
    utc_now,
    uuid7,
)
from sonora_app.storage.store import Transcript
from sonora_app.storage.wanted import Wanted

pytestmark = pytest.mark.unit

NOW = utc_now()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    yield journal
    await journal.aclose()


def files_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def talk(user: str = "ana") -> tuple[Conversation, Session, Message]:
    conversation = Conversation(id=uuid7(), user_id=user, created_at=NOW, updated_at=NOW)
    of = {"conversation_id": conversation.id}
    session = Session.model_validate(
        {"id": uuid7(), "transport": "test", "started_at": NOW, "app_version": "0", **of}
    )
    said = Message.model_validate(
        {"id": uuid7(), "session_id": session.id, "role": "user", "created_at": NOW, **of}
        | {"content": "Hola"}
    )
    return conversation, session, said


async def kept(journal: Journal, conversation_id: UUID) -> Transcript:
    transcript = await journal.transcript(conversation_id)
    assert transcript is not None
    return transcript


async def names(journal: Journal, conversation_id: UUID) -> list[tuple[str, str | None]]:
    labels = (await kept(journal, conversation_id)).labels
    return [(label.name, label.note) for label in standing(labels)]


async def labelled(journal: Journal, **wanted: Any) -> list[tuple[str | None, tuple[str, ...]]]:
    listings = await journal.conversations(Wanted(**wanted))
    return [(each.conversation.user_id, each.labels) for each in listings]


async def test_conversations_are_found_by_labels_of_their_turns_and_calls(
    journal: Journal,
) -> None:
    (ana, call, said), (eva, _, _) = talk(), talk("eva")
    await journal.write([ana, call, said, eva])
    transcript = await kept(journal, ana.id)
    turn = place_in(transcript, session_id=None, message_id=said.id)
    assert turn == Place(call.id, said.id)
    await give(journal, transcript, "  Wrong   ANSWER ", turn, note=" Lima, not Oaxaca ")
    at_call = place_in(transcript, session_id=call.id, message_id=None)
    await give(journal, transcript, "good", at_call, note=None)
    await give(journal, await kept(journal, eva.id), "good", Place(), note="")

    assert await labelled(journal, label="wrong answer") == [("ana", ("good", "wrong answer"))]
    assert await labelled(journal, label="Good ") == [
        ("ana", ("good", "wrong answer")),
        ("eva", ("good",)),
    ]
    assert await labelled(journal, label="goo") == []
    assert await names(journal, ana.id) == [("wrong answer", "Lima, not Oaxaca"), ("good", None)]
    with pytest.raises(NotFoundError):
        place_in(transcript, session_id=None, message_id=uuid7())


async def test_another_note_takes_the_place_of_the_former(journal: Journal) -> None:
    conversation, call, said = talk()
    await journal.write([conversation, call, said])
    place = Place(call.id, said.id)
    first = await give(journal, await kept(journal, conversation.id), "odd", place, note="quokka")
    again = await give(journal, await kept(journal, conversation.id), "odd", place, note="quokka")
    assert again == first
    await give(journal, await kept(journal, conversation.id), "odd", place, note="uapi")
    assert await names(journal, conversation.id) == [("odd", "uapi")]

    # Its words wait nowhere to be shipped, though that it was there is.
    waiting = [each for each in await journal.outbox.batch(20) if each.table == "labels"]
    assert [(each.operation, each.payload.get("note")) for each in waiting] == [
        ("insert", None),
        ("update", None),
        ("insert", "uapi"),
    ]
    assert "quokka" not in str(waiting)


async def test_one_that_is_kept_elsewhere_can_be_taken_away(
    journal: Journal, tmp_path: Path
) -> None:
    """By a journal that ships. Without a store behind it there is nobody to tell."""
    conversation, _, _ = talk()
    await journal.write([conversation])
    gone = LabelUpdate(id=uuid7(), conversation_id=conversation.id, removed_at=NOW)
    await journal.write([gone])
    assert [each.row_id for each in await journal.outbox.batch(9)][-1] == gone.id
    alone = await Journal.connect(tmp_path / "alone.db")
    await alone.write([conversation])
    with pytest.raises(RecordRefusedError):
        await alone.write([gone])
    await alone.aclose()


async def test_they_move_and_go_with_their_conversation(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await Journal.connect(path, outbox=True)
    conversation, call, said = talk()
    asked_for = uuid7()
    standing_in = ProvisionalConversation(id=conversation.id, asked_for=asked_for, user_id="ana")
    await journal.write([standing_in, conversation, call, said])
    transcript = await kept(journal, conversation.id)
    await give(journal, transcript, "odd", Place(call.id, said.id), note="quokka")
    await journal.outbox.place(Provisional(conversation.id, asked_for, "ana"), asked_for)
    # What still names the former id comes to the same place.
    await give(journal, transcript, "late", Place(), note="quokka")
    assert await names(journal, asked_for) == [("odd", "quokka"), ("late", "quokka")]
    counted = await journal.erasure.look(lambda rows, _: count_rows(rows, WhoseRows("ana")))
    assert counted["labels"] == 2

    over = SessionUpdate(id=call.id, ended_at=NOW, end_reason=EndReason.GOODBYE)
    await journal.write([over])
    await journal.erasure.erase({asked_for}, since=None)
    await journal.aclose()
    with closing(sqlite3.connect(path)) as rows:
        for table in ("labels", "outbox"):
            assert rows.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert not [name for name, content in files_of(tmp_path).items() if b"quokka" in content]


async def test_what_was_kept_before_there_was_somewhere_to_ship_to_is_shipped(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    conversation, call, said = talk()
    before = await Journal.connect(path)
    await before.write([conversation, call, said])
    label = await give(before, await kept(before, conversation.id), "odd", Place(), note=None)
    await before.aclose()
    journal = await Journal.connect(path, outbox=True)
    assert label.id in await journal.unshipped(conversation.id)
    second = await give(journal, await kept(journal, conversation.id), "two", Place(), note=None)
    waiting = await journal.outbox.batch(20)
    assert [each.row_id for each in waiting if each.table == "labels"] == [label.id, second.id]
    await journal.outbox.settle(waiting, {})
    assert await journal.outbox.prune(utc_now() + timedelta(days=40)) > 0
    assert await journal.transcript(conversation.id) is None or not await names(
        journal, conversation.id
    )
    await journal.aclose()


def test_what_either_store_has_as_taken_away_is() -> None:
    def label(name: str, **fields: Any) -> Label:
        return Label(id=uuid7(), conversation_id=uuid7(), name=name, created_at=NOW, **fields)

    both, here, there = label("both"), label("here"), label("there")
    gone = both.model_copy(update={"name": "", "removed_at": NOW})
    assert standing(in_both([gone, here], [both, there])) == (here, there)
    assert standing(in_both([both], [gone])) == ()


async def test_they_are_taken_away_once(journal: Journal) -> None:
    conversation, _, _ = talk()
    await journal.write([conversation])
    label = await give(journal, await kept(journal, conversation.id), "odd", Place(), note="n")
    await take_away(journal, [label])
    await take_away(journal, [label])
    assert await labelled(journal) == [("ana", ())]
    (kept_as,) = (await kept(journal, conversation.id)).labels
    assert (kept_as.name, kept_as.note) == ("", None)
    waiting = [each.operation for each in await journal.outbox.batch(9)]
    assert waiting == ["insert", "insert", "update"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Wrong   ANSWER ", "wrong answer"),
        ("wr\x1b[31mong\x00\u202e", "wr[31mong"),
        ("wrong\u200b\ud800", "wrong"),
        ("\u200b\x1f\u00a0\u2028", ""),
        ("=cmd()", "=cmd()"),
    ],
)
def test_names_are_alike_that_look_alike(text: str, name: str) -> None:
    assert as_name(text) == name
    assert is_name(text) is bool(name)
    assert is_name("a" * 60 + "\x1b")
    assert not is_name("a" * 61)
    # One letter becomes two.
    assert not is_name("İ" * 31)


@pytest.mark.parametrize("outbox", [False, True])
async def test_nothing_is_noted_of_what_was_erased_meanwhile(tmp_path: Path, outbox: bool) -> None:
    journal = await Journal.connect(tmp_path / "other.db", outbox=outbox)
    conversation, _, _ = talk()
    await journal.write([conversation])
    transcript = await kept(journal, conversation.id)
    await journal.erasure.erase({conversation.id}, since=None)
    giving = give(journal, transcript, "odd", Place(), note="quokka\ud800")
    if outbox:  # it may be in Supabase alone, which refuses it where it is not
        assert (await giving).note == "quokka?"
    else:
        with pytest.raises(RecordRefusedError):
            await giving
    await journal.aclose()
