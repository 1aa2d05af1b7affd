"""`sonora users erase`: nothing of a person is left on the machine, and all of the others' is."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from loguru import logger
from typer.testing import CliRunner, Result

from simulators.clients.people import hold_call, words
from sonora_app.cli import app
from sonora_app.errors import StorageError
from sonora_app.knowledge.adding import add_files
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.search import Search
from sonora_app.process import erasures
from sonora_app.settings import load_settings
from sonora_app.storage import person_erasure
from sonora_app.storage.calls_to_end import CallsToEnd
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import uuid7
from sonora_app.storage.wanted import Wanted

pytestmark = pytest.mark.unit

ANA, EVA = "ana-quokka@example.org", "eva-wombat@example.org"
MARKS = {ANA: "quokka", EVA: "wombat"}
CALLS = 200

_Result = TypeVar("_Result")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without a `.env`; gives the data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: str, **more: str) -> Result:
    return CliRunner().invoke(app, ["users", "erase", *arguments], **more)  # pyright: ignore[reportArgumentType]


def in_journal(
    data: Path, work: Callable[[Journal], Awaitable[_Result]], *, outbox: bool = False
) -> _Result:
    async def working() -> _Result:
        journal = await Journal.connect(data / "journal.db", outbox=outbox)
        try:
            return await work(journal)
        finally:
            await journal.aclose()

    return asyncio.run(working())


def written(data: Path, calls: int, *, outbox: bool) -> None:
    """Calls of two people in turn, at times several at once, as a bot records them."""

    async def work(journal: Journal) -> None:
        draw = random.Random(7)
        for _ in range(calls // 4):
            await asyncio.gather(
                *(hold_call(journal, user, MARKS[user], draw) for user in (ANA, EVA, ANA, EVA))
            )
        for user in (ANA, EVA):
            # One that stands in for another, whose place is not known.
            await hold_call(journal, user, MARKS[user], draw, asked_for=uuid7())

    in_journal(data, work, outbox=outbox)


def documents(data: Path, folder: Path) -> None:
    draw = random.Random(3)
    index = Index(data / "knowledge.db")
    for user, mark in MARKS.items():
        file = folder / f"{mark}.md"
        file.write_text(f"# {mark}\n\n## {mark}\n\n{words(mark, draw, 200)}.\n", "utf-8")
        add_files(index, [file], LocalEmbedder(), user_id=user)
        file.unlink()
    index.close()


def readable(folder: Path, *marks: str | bytes) -> dict[str, int]:
    """How often any of `marks` can be read in the bytes of each file, where it can."""
    found: dict[str, int] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower() + str(file.name).encode()
            sought = [mark.encode() if isinstance(mark, str) else mark for mark in marks]
            if count := sum(content.count(mark) for mark in sought):
                found[str(file.relative_to(folder))] = count
    return found


def rows(data: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the journal that is not the erased person's."""
    with closing(sqlite3.connect(data / "journal.db")) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in tables
            # The index of words has those that several people said.
            if not table.startswith(("sqlite_", "said_words"))
        }


def ids_of(data: Path, user: str) -> list[str]:
    with closing(sqlite3.connect(data / "journal.db")) as connection:
        theirs = "(SELECT id FROM conversations WHERE user_id = ?)"
        return [
            row[0]
            for table, which in (
                ("conversations", f"id IN {theirs}"),
                ("messages", f"conversation_id IN {theirs}"),
                ("sessions", f"conversation_id IN {theirs}"),
                ("memories", "user_id = ?"),
            )
            for row in connection.execute(f"SELECT id FROM {table} WHERE {which}", (user,))
        ]


def of_others(everything: dict[str, list[tuple[object, ...]]], ids: list[str]) -> object:
    """The rows in which neither Ana's mark nor one of her ids stands."""
    hers = set(ids)
    return {
        table: [row for row in found if "quokka" not in repr(row) and hers.isdisjoint(row)]
        for table, found in everything.items()
    }


@pytest.mark.parametrize("outbox", [False, True])
def test_of_200_calls_no_byte_of_the_person_is_left_and_all_of_the_others(
    data: Path, tmp_path: Path, outbox: bool
) -> None:
    written(data, CALLS, outbox=outbox)
    documents(data, tmp_path)
    hers = ids_of(data, ANA)
    before = rows(data)
    assert len(hers) > 500
    assert readable(data, "quokka")
    sink = logger.add(tmp_path / "data" / "bot.log", level="DEBUG")
    # Somebody has both files open, as a bot has.
    with (
        closing(sqlite3.connect(data / "journal.db")) as other,
        closing(sqlite3.connect(data / "knowledge.db")) as search,
    ):
        other.execute("SELECT count(*) FROM messages").fetchone()
        search.execute("SELECT count(*) FROM passages").fetchone()
        result = run(ANA, "--yes", "--json")
        logger.remove(sink)
        assert result.exit_code == 0, result.output
        assert readable(data, "quokka", *hers) == {}
        assert readable(tmp_path, "quokka") == {}

    receipt = json.loads(result.stdout)
    assert (receipt["erased"], receipt["calls_ended"]) == (ANA, 0)
    journal, after = receipt["places"]["journal"], rows(data)
    for table, count in journal.items():
        assert count == len(before[table]) - len(after[table]) > 0, table
    assert journal["conversations"] == CALLS // 2 + 1
    assert ("outbox" in journal) is outbox
    assert receipt["places"]["knowledge"]["documents"] == 1
    assert of_others(after, hers) == of_others(before, hers)
    assert after == of_others(after, hers)
    assert [document.user_id for document in Index(data / "knowledge.db").documents()] == [EVA]
    assert len(ids_of(data, EVA)) > 500


def test_it_asks_first_and_what_is_not_there_is_bad_input(data: Path) -> None:
    written(data, 4, outbox=False)
    before = rows(data)

    said_no = run(ANA, input="n\n")
    assert said_no.exit_code == 1
    assert "Conversations: 3. Facts: 9. From the journal. It cannot be brought back." in (
        said_no.output
    )
    assert rows(data) == before
    for user in ("nobody", "  "):
        refused = run(user, "--yes")
        assert refused.exit_code == 2, refused.output
        assert refused.stdout == ""
    said_yes = run(ANA, input="y\n")
    assert said_yes.exit_code == 0
    assert "Erased. Calls ended: 0." in said_yes.stdout
    assert ["journal", "conversations", "3"] in [
        line.split() for line in said_yes.stdout.split("\n")
    ]
    assert run(ANA, "--yes").exit_code == 2


def test_a_call_that_does_not_end_keeps_everything(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_erasure, "_SEEN_SECS", 0.0)
    monkeypatch.setattr(person_erasure, "_PATIENCE_SECS", 0.6)

    async def work(journal: Journal) -> None:
        await hold_call(journal, ANA, "quokka", random.Random(1), ends=False)
        refused = await asyncio.to_thread(run, ANA, "--yes")
        assert refused.exit_code == 1
        assert "goes on and does not end. Nothing was erased." in refused.output
        assert await journal.conversations(Wanted(user_id=ANA))

    in_journal(data, work)
    assert not CallsToEnd(data / "journal.db").any()


async def test_a_call_is_told_to_end_for_as_long_as_the_erasure_lasts(data: Path) -> None:
    marks = CallsToEnd(data / "journal.db")
    assert not marks.any()
    with marks.asking(ANA):
        assert marks.any()
        assert marks.include(ANA)
        assert not marks.include(EVA)
        assert readable(data, "quokka") == {}
    assert not marks.any()


async def test_a_mark_that_was_left_behind_ends_no_call(data: Path) -> None:
    marks = CallsToEnd(data / "journal.db")
    with marks.asking(ANA):
        (left,) = (data / "ending").iterdir()
    left.touch()
    assert not marks.include(ANA)
    assert not marks.any()


async def test_two_cannot_erase_the_same_person_at_once(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonora_app.storage.calls_to_end._PATIENCE_SECS", 0.1)
    marks = CallsToEnd(data / "journal.db")
    with marks.asking(ANA):
        with pytest.raises(StorageError, match="by another process"), marks.asking(ANA):
            pass
        with marks.asking(EVA):
            assert marks.include(EVA)
    assert not marks.any()


def test_a_fact_outlasts_its_conversation_and_names_it_no_more(data: Path) -> None:
    """Also what waits of it: an entry that is deleted would never be shipped."""

    async def work(journal: Journal) -> UUID:
        held = await hold_call(journal, ANA, "quokka", random.Random(2), asked_for=uuid7())
        return held

    conversation_id = in_journal(data, work, outbox=True)
    deleted = CliRunner().invoke(app, ["conversations", "delete", str(conversation_id), "--yes"])
    assert deleted.exit_code == 0, deleted.output
    left = rows(data)
    assert len(left["memories"]) == 3
    kinds = [(row[1], row[3]) for row in left["outbox"]]
    assert kinds.count(("memories", "insert")) == 3
    assert kinds.count(("memories", "update")) == 2
    assert {row[1] for row in left["outbox"]} == {"memories", "memory_choices"}
    assert readable(data, str(conversation_id)) == {}


async def test_a_process_forgets_what_the_person_asked_in_vain(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "LOOK_SECS", 0.01)
    search = Search(data / "knowledge.db")
    monkeypatch.setattr("sonora_app.process.knowledge._search", search)
    search.missed("¿Y mi horno quokka?", ANA)
    search.missed("¿Y mi horno wombat?", EVA)
    search.missed("¿Y el horno?", None)
    erasures.watch_for_erasures(load_settings())
    with CallsToEnd(data / "journal.db").asking(ANA):
        async with asyncio.timeout(30):
            while len(search.unanswered) > 2:
                await asyncio.sleep(0.01)
    await erasures.stop_watching()
    assert [each.user_id for each in search.unanswered] == [EVA, None]


def test_a_table_that_is_yet_to_come_is_emptied_and_counted_too(data: Path) -> None:
    written(data, 4, outbox=False)
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE yet_to_come (id TEXT PRIMARY KEY NOT NULL"
            " REFERENCES conversations (id) ON DELETE CASCADE, state TEXT)"
        )
        connection.execute("INSERT INTO yet_to_come SELECT id, title FROM conversations")
    receipt = json.loads(run(ANA, "--yes", "--json").stdout)
    assert receipt["places"]["journal"]["yet_to_come"] == 3
    assert readable(data, "quokka") == {}
    assert len(rows(data)["yet_to_come"]) == 3
