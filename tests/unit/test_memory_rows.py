"""What the journal remembers of people: written, read, ended, forgotten, and put in the outbox."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    Memory,
    MemoryChoice,
    MemoryUpdate,
    ProvisionalConversation,
    utc_now,
    uuid7,
)
from sonora_app.storage.similar_words import telling_words
from sonora_app.storage.store import Known, Recall

pytestmark = pytest.mark.unit

FIFTY = Recall(limit=50)


def memory(content: str, **fields: Any) -> Memory:
    return Memory(
        **{"id": uuid7(), "user_id": "ana", "content": content, "created_at": utc_now(), **fields}
    )


def told(known: Known) -> list[str]:
    return [each.content for each in known.memories]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    opened = await Journal.connect(tmp_path / "journal.db")
    yield opened
    await opened.aclose()


async def test_a_fact_that_cannot_be_read_loses_only_itself(tmp_path: Path):
    facts = [memory(f"Dato {number}.", metadata={"name": "Ana"}) for number in range(3)]
    journal = await Journal.connect(tmp_path / "journal.db")
    await journal.write(facts)
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        wrong = "UPDATE memories SET {} WHERE id = ?"
        connection.execute(wrong.format("created_at = 'infinity'"), (str(facts[0].id),))
        connection.execute(wrong.format("metadata = '{'"), (str(facts[2].id),))
    known = await journal.known("ana", FIFTY)
    await journal.aclose()

    # What is beside the fact counts less than the fact.
    assert {each.content: each.metadata for each in known.memories} == {
        "Dato 1.": {"name": "Ana"},
        "Dato 2.": {},
    }


@pytest.fixture
async def shipping(tmp_path: Path) -> AsyncGenerator[Journal]:
    opened = await Journal.connect(tmp_path / "shipping.db", outbox=True)
    yield opened
    await opened.aclose()


async def test_what_is_written_is_read_the_latest_first(journal: Journal):
    first, second = memory("Vive en Lima."), memory("Tiene dos hijos.", metadata={"language": "es"})
    await journal.write([first, second, memory("Vive en Quito.", user_id="eva")])
    await journal.write([first])
    known = await journal.known("ana", FIFTY)
    assert known.memories == (second, first)
    assert not known.more
    assert known.unshipped == {first.id, second.id}
    assert (await journal.look_up(None, "ana", message_limit=0, recall=FIFTY)).known == known
    assert (await journal.look_up(None, "ana", message_limit=0)).known == Known()
    assert (await journal.known("nobody", FIFTY)).memories == ()


async def test_no_more_is_read_than_is_wanted(journal: Journal):
    await journal.write([memory(f"Dato {n}.") for n in range(6)])
    known = await journal.known("ana", Recall(limit=4))
    assert (told(known), known.more) == (["Dato 5.", "Dato 4.", "Dato 3.", "Dato 2."], True)
    assert not (await journal.known("ana", Recall(limit=6))).more


async def test_what_holds_no_more_is_kept_as_what_held_before(journal: Journal):
    now = utc_now()
    lima = memory("Vive en Lima.")
    exam = memory("Tiene un examen.", valid_until=now + timedelta(hours=1))
    over = memory("Está de viaje.", valid_until=now - timedelta(hours=1))
    quito = memory("Vive en Quito.")
    await journal.write([lima, exam, over, quito])
    moved = MemoryUpdate(id=lima.id, user_id="ana", replaced_by=quito.id, valid_until=now)
    await journal.write([moved, moved])
    assert told(await journal.known("ana", FIFTY)) == ["Vive en Quito.", "Tiene un examen."]
    past = await journal.known("ana", Recall(limit=50, past=True))
    by_id = {each.id: each for each in past.memories}
    assert by_id[lima.id].replaced_by == quito.id
    assert by_id[lima.id].valid_until == now
    # An end is never put off.
    await journal.write([MemoryUpdate(id=over.id, user_id="ana", valid_until=now)])
    past = await journal.known("ana", Recall(limit=50, past=True))
    assert {each.id: each for each in past.memories}[over.id] == over


async def test_what_is_forgotten_has_nothing_left(shipping: Journal):
    secret = memory("Es diabética.", source_message_id=uuid4(), conversation_id=uuid4())
    await shipping.write([secret])
    await shipping.write([MemoryUpdate(id=secret.id, user_id="ana", forgotten_at=utc_now())])
    # It comes again, as where its answer was lost.
    await shipping.write([secret])
    assert (await shipping.known("ana", Recall(limit=50, past=True))).memories == ()
    insert, update = await shipping.outbox.batch(10)
    assert (insert.payload["content"], insert.payload["source_message_id"]) == ("", None)
    assert (insert.operation, update.operation) == ("insert", "update")
    assert set(update.payload) == {"id", "user_id", "forgotten_at"}


async def test_nobody_ends_what_is_remembered_of_another(journal: Journal):
    mine = memory("Vive en Lima.")
    await journal.write([mine])
    await journal.write([MemoryUpdate(id=mine.id, user_id="eva", forgotten_at=utc_now())])
    assert (await journal.known("ana", FIFTY)).memories == (mine,)


async def test_the_end_of_one_that_is_kept_elsewhere_is_shipped(shipping: Journal):
    elsewhere = MemoryUpdate(id=uuid7(), user_id="ana", forgotten_at=utc_now())
    await shipping.write([elsewhere])
    (entry,) = await shipping.outbox.batch(10)
    assert (entry.table, entry.operation, entry.row_id) == ("memories", "update", elsewhere.id)
    assert (await shipping.known("ana", FIFTY)).ended == {elsewhere.id}
    assert (await shipping.known("eva", FIFTY)).ended == frozenset()


async def test_the_choice_made_last_counts(journal: Journal):
    assert (await journal.known("ana", FIFTY)).remembers is None
    now = utc_now()
    for secs, remembers in ((2, False), (1, True)):
        made_at = now + timedelta(seconds=secs)
        choice = MemoryChoice(id=uuid7(), user_id="ana", remembers=remembers, created_at=made_at)
        await journal.write([choice, choice])
    known = await journal.known("ana", FIFTY)
    assert (known.remembers, known.chosen_at) == (False, now + timedelta(seconds=2))


async def test_what_another_process_writes_of_a_person_is_noticed(journal: Journal, tmp_path: Path):
    long_ago = utc_now() - timedelta(days=9)
    lima, cat, vegan, toby = (
        memory(each, created_at=long_ago)
        for each in ("Vive en Lima.", "Tiene un gato.", "Es vegana.", "Su perro es Tobi.")
    )
    await journal.write([lima, cat, vegan, toby, memory("Vive en Quito.", created_at=long_ago)])
    told: list[Any] = []
    known = [each.id for each in (lima, vegan, toby)]
    end = journal.memory_changes.follow("ana", told.extend, known=lambda: known)
    # What is corrected keeps the time at which it was said.
    right = memory("Su perro es Toby.", created_at=long_ago)
    dog, choice = memory("Tiene un perro."), refusal()
    now = utc_now()
    ends = [
        MemoryUpdate(id=vegan.id, user_id="ana", forgotten_at=now),
        MemoryUpdate(id=toby.id, user_id="ana", replaced_by=right.id, forgotten_at=now),
    ]
    not_asked_for = [
        MemoryUpdate(id=cat.id, user_id="ana", valid_until=now),
        memory("Vive en Cusco.", user_id="eva"),
    ]
    other = await Journal.connect(tmp_path / "journal.db")
    await other.write([right, dog, choice, *ends, *not_asked_for])
    await other.aclose()
    async with asyncio.timeout(30):
        while not told:
            await asyncio.sleep(0.02)
    end()
    assert sorted(told, key=repr) == sorted([right, dog, choice, *ends], key=repr)


def refusal() -> MemoryChoice:
    return MemoryChoice(id=uuid7(), user_id="ana", remembers=False, created_at=utc_now())


async def test_words_find_what_they_are_about(journal: Journal):
    await journal.write([memory(f"Le gusta la canción {n}.") for n in range(300)])
    nuts = memory("Es ALÉRGICA a las nueces.")
    son = memory("Su niño se llama Ñaco.")
    await journal.write([nuts, son, memory("Toma café."), *(memory(f"x {n}") for n in range(60))])

    async def found(text: str) -> list[str]:
        words = telling_words(text)
        return told(await journal.known("ana", Recall(limit=5, words=words)))

    assert await found("¿te acuerdas de mi alergia?") == [nuts.content]
    assert await found("una cosa del nino y las nueces") == [son.content, nuts.content]
    assert await found("¿qué tal el tiempo?") == []
    assert len(await found("pon una canción")) == 5


async def test_what_was_kept_before_supabase_was_set_is_shipped_later(tmp_path: Path):
    alone = await Journal.connect(tmp_path / "journal.db")
    kept, gone = memory("Vive en Lima."), memory("Vive en Quito.")
    choice = MemoryChoice(id=uuid7(), user_id="ana", remembers=True, created_at=utc_now())
    await alone.write([kept, gone, choice])
    await alone.write([MemoryUpdate(id=gone.id, user_id="ana", replaced_by=kept.id)])
    await alone.aclose()
    journal = await Journal.connect(tmp_path / "journal.db", outbox=True)
    later = memory("Tiene un perro.")
    await journal.write([later])
    entries = await journal.outbox.batch(10)
    assert [(entry.table, entry.operation, entry.row_id) for entry in entries] == [
        ("memories", "insert", kept.id),
        ("memories", "insert", gone.id),
        ("memory_choices", "insert", choice.id),
        ("memories", "update", gone.id),
        ("memories", "insert", later.id),
    ]
    assert entries[2].payload["remembers"] is True
    assert entries[3].payload["replaced_by"] == str(kept.id)
    await journal.aclose()


async def test_it_waits_for_the_place_of_its_conversation(shipping: Journal):
    now, asked_for = utc_now(), uuid7()
    held = Conversation(id=uuid7(), user_id="ana", created_at=now, updated_at=now)
    apart = ProvisionalConversation(id=held.id, asked_for=asked_for, user_id="ana")
    learned = memory("Vive en Lima.", conversation_id=held.id)
    await shipping.write([apart, held, learned])
    await shipping.write([MemoryUpdate(id=learned.id, user_id="ana", valid_until=now)])
    assert await shipping.outbox.batch(10) == ()
    (provisional,) = await shipping.outbox.unplaced()
    await shipping.outbox.place(provisional, asked_for)
    entries = [entry for entry in await shipping.outbox.batch(10) if entry.table == "memories"]
    assert [entry.operation for entry in entries] == ["insert", "update"]
    assert entries[0].payload["conversation_id"] == str(asked_for)
    assert entries[1].payload["id"] == str(learned.id)


async def test_old_ones_that_are_stored_elsewhere_leave_the_journal(shipping: Journal):
    old = memory("Vive en Lima.", created_at=utc_now() - timedelta(days=60))
    waits = memory("Vive en Quito.", created_at=utc_now() - timedelta(days=60))
    await shipping.write([old])
    await shipping.outbox.settle(await shipping.outbox.batch(10), {})
    await shipping.write([waits])
    assert await shipping.outbox.prune(utc_now() - timedelta(days=30)) == 1
    assert told(await shipping.known("ana", FIFTY)) == ["Vive en Quito."]


async def test_ten_thousand_do_not_slow_it(journal: Journal):
    for start in range(0, 10_000, 1_000):
        await journal.write([memory(f"Dato número {start + n}.") for n in range(1_000)])
    loop = asyncio.get_running_loop()

    async def took(user: str) -> float:
        begun = loop.time()
        for _ in range(20):
            await journal.look_up(None, user, message_limit=40, recall=FIFTY)
        return loop.time() - begun

    await journal.write([memory(f"Dato {n}.", user_id="eva") for n in range(50)])
    await took("eva")
    fifty = min([await took("eva") for _ in range(5)])
    assert min([await took("ana") for _ in range(5)]) < 2 * fifty
