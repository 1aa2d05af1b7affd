"""`sonora knowledge`: an empty variable of a shell never stands for everybody, nor for a folder."""

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
