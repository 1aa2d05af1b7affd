"""What is erased is in no byte of any file of the data folder."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncGenerator, Collection, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from loguru import logger

from simulators.clients.waiting import Waiting
from sonora_app.errors import StorageError
from sonora_app.storage.journal import erasure
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.scrub import ErasingMarks
from sonora_app.storage.records import (
    Conversation,
    ConversationUpdate,
    EndReason,
    Message,
    Record,
    Session,
    SessionUpdate,
    uuid7,
)
from sonora_app.storage.removal import Stores, delete, prune
from sonora_app.storage.supabase.unshipped import UnshippedLog

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET, KEPT = "quokka", "wombat"
"""The marks: what is to go, and what is to stay."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(path, outbox=True)
    yield journal
    await journal.aclose()


def words(mark: str, draw: random.Random, most: int = 30) -> str:
    return " ".join(f"{mark}-{draw.randrange(16**6):06x}" for _ in range(draw.randint(1, most)))


def a_talk(mark: str, draw: random.Random) -> tuple[UUID, list[list[Record]]]:
    """A call as it is written: batch by batch, its title and summary growing as it goes on."""
    conversation_id, session_id = uuid7(), uuid7()
    batches: list[list[Record]] = [
        [
            Conversation(
                id=conversation_id, user_id=f"{mark}-ana", created_at=START, updated_at=START
            ),
            Session(
                id=session_id,
                conversation_id=conversation_id,
                transport="webrtc",
                started_at=START,
                app_version="1",
            ),
        ]
    ]
    for seq in range(1, draw.randint(3, 8)):
        moment = START + timedelta(seconds=seq)
        batches.append(
            [
                Message(
                    id=uuid7(),
                    conversation_id=conversation_id,
                    session_id=session_id,
                    seq=seq,
                    role="user",
                    content=words(mark, draw),
                    created_at=moment,
                ),
                ConversationUpdate(
                    id=conversation_id,
                    title=words(mark, draw, seq),
                    summary=words(mark, draw, 8 * seq),
                    metadata={f"topic {seq}": words(mark, draw)},
                    updated_at=moment,
                ),
                SessionUpdate(
                    id=session_id,
                    ended_at=moment,
                    end_reason=EndReason.GOODBYE,
                    metrics={f"note {seq}": words(mark, draw)},
                ),
            ]
        )
    return conversation_id, batches


async def talk(journal: Journal, draw: random.Random, count: int) -> tuple[list[UUID], list[UUID]]:
    """Hold many calls at once. Gives those that are to go, and those that are to stay."""
    talks = [(mark, *a_talk(mark, draw)) for mark in (SECRET, KEPT) for _ in range(count)]
    waiting = [list(batches) for _, _, batches in talks]
    while any(waiting):
        await journal.write(draw.choice([one for one in waiting if one]).pop(0))
    ids = {mark: [id_ for marked, id_, _ in talks if marked == mark] for mark in (SECRET, KEPT)}
    return ids[SECRET], ids[KEPT]


def readable(folder: Path, mark: str = SECRET) -> dict[str, int]:
    """How often `mark` can be read in the bytes of each file of the folder, where it can."""
    counts = {
        str(file.relative_to(folder)): file.read_bytes().count(mark.encode())
        for file in folder.rglob("*")
        if file.is_file()
    }
    return {name: count for name, count in counts.items() if count}


@contextmanager
def old_reader(path: Path) -> Generator[sqlite3.Connection]:
    """Another program that reads the journal as it was, and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM messages").fetchone()
        yield connection


def marks(path: Path) -> int:
    return len(ErasingMarks(path).listed())


@pytest.mark.parametrize("seed", [1, 2, 4])
async def test_no_byte_is_left_of_rows_that_grew(journal: Journal, path: Path, seed: int):
    draw = random.Random(seed)
    gone, kept = await talk(journal, draw, 40)
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM messages").fetchone()
        assert readable(path.parent)
        await journal.erasure.erase(gone, since=None)
        assert readable(path.parent) == {}
        assert marks(path) == 0
    assert {one.conversation.id for one in await journal.conversations(limit=100)} == set(kept)


async def test_no_byte_is_left_after_the_log_of_what_could_not_be_shipped(
    journal: Journal, path: Path
):
    gone, _ = await talk(journal, random.Random(1), 3)
    await journal.erasure.erase(gone, since=None)
    sink = logger.add(path.parent / "bot.log", format="{message}")
    try:
        assert await UnshippedLog(journal).write() > 0
    finally:
        logger.remove(sink)
    assert "bot.log" in readable(path.parent, KEPT)
    assert readable(path.parent) == {}


async def test_words_of_a_full_text_index_go_with_its_rows(journal: Journal, path: Path):
    def fill(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("CREATE VIRTUAL TABLE found USING fts5(content)")
        for number in range(200):
            mark = SECRET if number % 2 else KEPT
            connection.execute("INSERT INTO found VALUES (?)", (f"{mark}{number} {mark}",))

    def forget(connection: sqlite3.Connection, _: object) -> int:
        return connection.execute(f"DELETE FROM found WHERE content LIKE '{SECRET}%'").rowcount

    await journal.erasure.delete_rows(fill)
    assert await journal.erasure.delete_rows(forget) == 100
    await journal.erasure.leave_no_byte()
    assert readable(path.parent) == {}
    with closing(sqlite3.connect(path)) as other:
        found = other.execute("SELECT count(*) FROM found WHERE found MATCH ?", (KEPT,))
        assert found.fetchone() == (100,)


async def test_a_reader_of_the_old_state_is_told_of_and_what_is_left_goes_after_it(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(erasure, "_PATIENCE_SECS", 0.3)
    monkeypatch.setattr(erasure, "_AGAIN_SECS", 0.2)
    gone, _ = await talk(journal, random.Random(2), 5)
    with old_reader(path):
        with pytest.raises(StorageError, match="pieces of it may still be") as caught:
            await journal.erasure.erase(gone, since=None)
        assert "End the program" in caught.value.hint
        assert readable(path.parent)
        # Calls go on, though somebody reads.
        waiting = Waiting()
        await journal.write([a_talk(KEPT, random.Random(3))[1][0][0]])
        assert waiting.secs() < 2
    await until_clean(path)


async def until_clean(path: Path) -> None:
    async with asyncio.timeout(30):
        while marks(path):
            await asyncio.sleep(0.02)
    assert readable(path.parent) == {}


async def test_the_next_start_clears_away_what_a_crash_left(path: Path):
    journal = await Journal.connect(path)
    gone, _ = await talk(journal, random.Random(4), 10)
    # The process ends here, between the two.
    await journal.erasure.delete(gone, since=None)
    await journal.aclose()
    assert marks(path) == 1
    journal = await Journal.connect(path)
    await until_clean(path)
    await journal.aclose()


async def test_what_deletes_nothing_leaves_no_mark(journal: Journal, path: Path):
    await journal.erasure.delete([uuid7()], since=None)
    assert marks(path) == 0


async def test_removing_leaves_no_byte(journal: Journal, path: Path):
    gone, kept = await talk(journal, random.Random(5), 4)
    stores = Stores(journal, None, timedelta(hours=1))
    await delete(stores, gone[0])
    assert str(gone[0]).encode() not in all_bytes(path.parent)
    assert await prune(stores, datetime.now(UTC)) == 7
    assert readable(path.parent) == readable(path.parent, KEPT) == {}
    assert str(kept[0]).encode() not in all_bytes(path.parent)


def all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_while_another_connection_writes_reading_goes_on_and_writing_waits(
    journal: Journal, path: Path
):
    gone, kept = await talk(journal, random.Random(6), 2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        _, batches = a_talk(KEPT, random.Random(7))
        writing = [asyncio.create_task(journal.write(batch)) for batch in batches]
        for _ in range(10):
            waiting = Waiting()
            assert await journal.transcript(kept[0])
            assert waiting.secs() < 1
        assert not any(task.done() for task in writing)
        other.execute("COMMIT")
    await asyncio.wait_for(asyncio.gather(*writing), 30)
    assert await read_ids(journal) == {*gone, *kept, batches[0][0].id}  # type: ignore[union-attr]


async def read_ids(journal: Journal) -> Collection[UUID]:
    return {one.conversation.id for one in await journal.conversations()}
