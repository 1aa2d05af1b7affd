"""The index: what is added, changed and removed, and who finds it. With the real model."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.clients.documents import write_pdf
from sonora_app.errors import NotFoundError
from sonora_app.knowledge.adding import Outcome, add_files
from sonora_app.knowledge.database import ModelChangedError, exists
from sonora_app.knowledge.embedding import LocalEmbedder, Meaning
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.search import Search

pytestmark = pytest.mark.unit

OVEN = """# Horno

## Limpieza

Espere a que el horno se enfríe. Limpie el cristal con un paño húmedo y bicarbonato.

## Averías

Si parpadea la luz roja, apague el horno y llame al servicio técnico.
"""
PHONE = "# Teléfono\n\n## Batería\n\nCargue la batería durante dos horas antes de usarlo.\n"


class CountingEmbedder(LocalEmbedder):
    """The model, which counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.passages: list[str] = []

    def passage(self, text: str) -> Meaning:
        self.passages.append(text)
        return super().passage(text)


class OtherEmbedder(LocalEmbedder):
    """A model of another name, whose vectors have another length too."""

    model = "another-model"

    def passage(self, text: str) -> Meaning:
        meaning = super().passage(text)
        return replace(meaning, vector=meaning.vector[:300])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "data" / "knowledge.db")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "horno.md").write_text(OVEN, "utf-8")
    (folder / "telefono.md").write_text(PHONE, "utf-8")
    return folder


def test_the_same_file_again_changes_only_what_changed(index: Index, folder: Path) -> None:
    embedder = CountingEmbedder()
    assert [each.outcome for each in add_files(index, [folder], embedder)] == [Outcome.ADDED] * 2
    first = len(embedder.passages)
    again = add_files(index, [folder], embedder)
    (folder / "horno.md").write_text(OVEN.replace("la luz roja", "la luz azul"), "utf-8")
    changed = add_files(index, [folder], embedder)

    assert [each.outcome for each in again] == [Outcome.UNCHANGED] * 2
    assert [each.outcome for each in changed] == [Outcome.CHANGED, Outcome.UNCHANGED]
    assert len(embedder.passages) - first == 1
    assert "luz azul" in embedder.passages[-1]
    assert len(index.documents()) == 2


def test_broken_files_are_named_and_the_rest_goes_on(index: Index, folder: Path) -> None:
    for number in range(195):
        (folder / f"nota{number:03}.txt").write_text(f"Nota número {number}.", "utf-8")
    for name in ("a.pdf", "b.docx", "c.pdf"):
        (folder / name).write_bytes(b"broken")
    (folder / "d.txt").write_bytes(b"\0")
    write_pdf(folder / "e.pdf", [[]])
    os.mkfifo(folder / "f.txt")
    latin = folder / "g\udcff.txt"
    # Only Linux keeps such a name.
    odd = [latin] if sys.platform == "linux" and latin.write_text("Algo.") else []
    added = add_files(index, [folder, folder / "f.txt"], LocalEmbedder())
    unreadable = [each for each in added if each.outcome is Outcome.UNREADABLE]

    assert len(added) == 203 + len(odd)
    broken = ["a.pdf", "b.docx", "c.pdf", "d.txt", "e.pdf", *(each.name for each in odd), "f.txt"]
    assert [each.path.name for each in unreadable] == broken
    assert all(each.reason for each in unreadable)
    assert len(index.documents()) == 197


def test_a_path_without_a_file_adds_nothing(index: Index, folder: Path) -> None:
    with pytest.raises(NotFoundError):
        add_files(index, [folder, folder / "missing"], LocalEmbedder())

    assert index.documents() == []


def test_a_question_finds_its_passage_however_it_is_said(index: Index, folder: Path) -> None:
    add_files(index, [folder], LocalEmbedder())
    search = Search(index.path)
    asked = [
        "Eh… o sea, ¿cómo, cómo limpio el, el cristal del orno?",
        "how do I clean the oven glass",
        "que hago si parpadea la luz roja",
        "¿cuánto tarda en cargarse la batería?",
    ]
    found = [search.find_now(question).found[0].passage.headings for question in asked]
    search.close()

    assert found == [("Limpieza",), ("Limpieza",), ("Averías",), ("Batería",)]


def test_of_a_few_passages_only_those_that_fit_are_given(index: Index, folder: Path) -> None:
    add_files(index, [folder], LocalEmbedder())
    search = Search(index.path)
    fits = search.find_now("¿Cuánto tarda en cargarse la batería?")
    other = search.find_now("¿Cuánto cuesta un boleto de avión a Bogotá?")
    search.close()

    assert [each.passage.headings for each in fits.given] == [("Batería",)]
    assert len(fits.found) == 3
    assert other.given == ()


def test_what_has_no_spaces_costs_no_more_than_words(index: Index, folder: Path) -> None:
    data = "QUJDREVGR0hJ+/" * 4_300
    (folder / "datos.md").write_text(f"# {data}\n\n{data}\n\nLa clave es verde.\n", "utf-8")
    embedder = CountingEmbedder()
    add_files(index, [folder / "datos.md"], embedder)
    search = Search(index.path, lambda: embedder)
    found = search.find_now(f"{data}. ¿De qué color es la clave?").found
    search.close()

    assert max(map(len, embedder.passages)) < 1_000
    assert "La clave es verde." in found[0].passage.content


def words_kept(path: Path) -> list[bytes | None]:
    with closing(sqlite3.connect(path)) as opened:
        return [row[0] for row in opened.execute("SELECT words FROM passages")]


def test_an_index_of_an_earlier_version_goes_on(index: Index, folder: Path) -> None:
    add_files(index, [folder], LocalEmbedder())
    index.close()
    with closing(sqlite3.connect(index.path)) as earlier:
        earlier.execute("ALTER TABLE passages DROP COLUMN words")
        earlier.execute("ALTER TABLE passages ADD heading_embedding BLOB NOT NULL DEFAULT x'00'")
        earlier.execute("PRAGMA user_version = 1")
    search = Search(index.path)
    assert search.find_now("cargar la batería").found[0].passage.title == "Teléfono"
    search.close()
    reopened = Index(index.path)
    assert add_files(reopened, [folder], LocalEmbedder())[0].outcome is Outcome.UNCHANGED
    # What an earlier Sonora added has no words to compare one by one, until it is made anew.
    assert words_kept(index.path) == [None] * 3
    (folder / "horno.md").write_text(OVEN.replace("luz roja", "luz azul"), "utf-8")
    add_files(reopened, [folder / "horno.md"], LocalEmbedder())
    assert sorted(map(bool, words_kept(index.path))) == [False, True, True]
    reopened.rebuild(LocalEmbedder())
    assert all(words_kept(index.path))
    reopened.close()


def test_one_users_documents_are_found_by_nobody_else(index: Index, folder: Path) -> None:
    add_files(index, [folder / "horno.md"], LocalEmbedder())
    add_files(index, [folder / "telefono.md"], LocalEmbedder(), user_id="ana")
    search = Search(index.path)

    def titles(user: str | None) -> set[str]:
        findings = search.find_now("cuánto tarda en cargarse la batería del teléfono", user, 10)
        return {each.passage.title for each in findings.found}

    assert titles("ana") == {"Horno", "Teléfono"}
    assert titles("luis") == titles(None) == titles("") == {"Horno"}
    index.remove_of("ana")
    assert [document.title for document in index.documents()] == ["Horno"]
    search.close()


def test_a_removed_document_leaves_no_word_in_the_files(index: Index, folder: Path) -> None:
    add_files(index, [folder], LocalEmbedder())
    oven = next(d for d in index.documents() if d.title == "Horno")
    index.remove([oven.id])
    files = b"".join(file.read_bytes() for file in index.path.parent.iterdir())

    assert b"bicarbonato" not in files
    assert b"bicarbo" not in files
    assert "Batería".encode() in files


def test_an_index_of_another_model_says_what_to_do(index: Index, folder: Path) -> None:
    add_files(index, [folder], OtherEmbedder())
    search = Search(index.path)
    with pytest.raises(ModelChangedError, match="another-model") as refused:
        search.find_now("batería")
    (folder / "nuevo.txt").write_text("Algo nuevo.")
    with pytest.raises(ModelChangedError):
        add_files(index, [folder], LocalEmbedder())
    assert "rebuild" in refused.value.hint
    assert index.rebuild(LocalEmbedder()) == 3
    assert search.find_now("cargar la batería").found[0].passage.title == "Teléfono"
    search.close()


async def test_a_running_search_sees_what_another_process_adds(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonora_app.knowledge.search._LOOKED_AGAIN_SECS", 0.0)
    add_files(index, [folder / "telefono.md"], LocalEmbedder())
    search = Search(index.path)
    await search.warm_up()
    add_files(index, [folder / "horno.md"], LocalEmbedder())
    titles = [(await search.find("cómo limpio el horno")).found[0].passage.title for _ in range(3)]
    await search.aclose()

    assert titles[-1] == "Horno"


def test_a_running_search_sees_that_the_index_was_deleted(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonora_app.knowledge.search._LOOKED_AGAIN_SECS", 0.0)
    add_files(index, [folder / "telefono.md"], LocalEmbedder())
    search = Search(index.path)
    assert search.find_now("cargar la batería").found
    for file in index.path.parent.iterdir():
        file.unlink()
    with closing(Index(index.path)) as anew:
        add_files(anew, [folder / "horno.md"], LocalEmbedder())
    assert search.find_now("cómo limpio el horno").found[0].passage.title == "Horno"
    for file in index.path.parent.iterdir():
        file.unlink()
    assert not search.find_now("cómo limpio el horno").found
    search.close()


def test_calls_go_on_while_an_index_is_rebuilt(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonora_app.knowledge.search._LOOKED_AGAIN_SECS", 0.0)
    add_files(index, [folder], LocalEmbedder())
    search = Search(index.path)
    found: list[str] = []

    def ask(done: int = 0, of: int = 0) -> None:
        found.append(search.find_now("cómo cargo la batería").found[0].passage.title)

    ask()
    count = index.rebuild(LocalEmbedder(), on_passage=ask)
    # The first search after the change has the index read again, the second finds it so.
    ask()
    ask()
    search.close()

    assert found == ["Teléfono"] * (count + 3)


def test_an_index_exists_once_it_holds_a_document(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    assert not exists(tmp_path / "nowhere.db")
    assert not exists(index.path)
    add_files(index, [folder], LocalEmbedder())
    assert exists(index.path)


def test_what_is_only_hesitation_finds_nothing(index: Index, folder: Path) -> None:
    add_files(index, [folder], LocalEmbedder())
    search = Search(index.path)
    assert search.find_now("Eh… este… mmm").found == ()
    search.close()
