"""`sonora knowledge`: what its arguments may be, and what becomes of files that change."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.knowledge.adding import add_files
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index

pytestmark = pytest.mark.unit


def test_an_empty_argument_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "nota.txt").write_text("El buzón está en el portal.")
    index = Index(tmp_path / "data" / "knowledge.db")
    add_files(index, [Path("nota.txt")], LocalEmbedder(), user_id="ana")

    for arguments in (
        ["add", "--user", "", "nota.txt"],
        ["add", ""],
        ["remove", ""],
        ["list", "--user", " "],
        ["search", "--user", "", "dónde está el buzón"],
    ):
        result = CliRunner().invoke(app, ["knowledge", *arguments])
        assert (result.exit_code, result.stdout) == (2, ""), arguments
    assert [each.user_id for each in index.documents()] == ["ana"]
    index.close()
    assert "nota" in CliRunner().invoke(app, ["knowledge", "list", "--user", "ana"]).stdout


def test_what_was_a_document_and_is_no_more_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_LANGUAGE", "en")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "notas"
    folder.mkdir()

    def knowledge(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["knowledge", *arguments])
        return result.exit_code, result.stdout, result.stderr

    code, _out, told = knowledge("add", str(folder))
    assert code == 1
    assert told.strip()

    for name in ("buzon.txt", "copia.txt", "llaves.txt"):
        (folder / name).write_text("El buzón rojo está en el portal, a la derecha.")
    assert knowledge("add", str(folder))[0] == 0
    code, out, _told = knowledge("search", "--json", "dónde está el buzón rojo")
    assert out.count("a la derecha") == 1, "copies are one passage"

    (folder / "buzon.txt").write_text("")
    (folder / "llaves.txt").unlink()
    code, _out, told = knowledge("add", str(folder))
    documents = {
        Path(each["source"]).name: each["id"] for each in json.loads(knowledge("list", "--json")[1])
    }
    assert code == 1
    assert [f"remove {documents[name]}" in told for name in sorted(documents)] == [
        True,
        False,
        True,
    ]
    assert knowledge("remove", documents["llaves.txt"])[0] == 0
    assert "llaves.txt" not in knowledge("add", str(folder))[2]


def test_a_path_takes_the_documents_of_single_users_only_when_that_is_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "nota.txt").write_text("El buzón está en el portal.")
    with closing(Index(tmp_path / "data" / "knowledge.db")) as index:
        for owner in (None, "ana", "luis"):
            add_files(index, [Path("nota.txt")], LocalEmbedder(), user_id=owner)

    def left(*arguments: str, typed: str = "") -> list[str | None]:
        told = CliRunner().invoke(app, ["knowledge", "remove", *arguments], input=typed)
        assert ("ana" in told.stderr) is bool(typed), told.stderr
        listed = CliRunner().invoke(app, ["knowledge", "list", "--json"]).stdout
        return sorted(each["user_id"] or "" for each in json.loads(listed))

    assert left("nota.txt", typed="n\n") == ["", "ana", "luis"]
    assert left("nota.txt", "--user", "luis") == ["", "ana"]
    assert left("nota.txt", typed="y\n") == []
