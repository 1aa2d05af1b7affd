"""`sonora memories`, over a journal that it writes itself."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from sonora_app.cli import app
from sonora_app.commands.readable import local_time
from sonora_app.memories import owner
from sonora_app.storage.journal.journal import Journal

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without a `.env`; gives the data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["memories", *arguments])


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def data_of(*arguments: str) -> Any:
    return json.loads(done(*arguments, "--json"))


def test_what_is_added_is_listed_exported_and_forgotten(data: Path) -> None:
    lima = done("add", "ana", "Vive en Lima.").strip()
    exam = data_of("add", "ana", "Tiene un examen.", "--until", "2999-05-01")["memory"]
    done("add", "eva", "Vive en Quito.")
    assert exam["content"] == "Tiene un examen."
    assert exam["valid_until"].startswith("2999-05-02T12:00")
    assert exam["metadata"] == {"source": "command"}

    shown = [line.split() for line in done("list", "ana").splitlines()]
    assert shown[0] == ["ID", "Fact", "Said", "Until"]
    assert [(line[0], line[-1]) for line in shown[1:]] == [(exam["id"], "2999-05-01"), (lima, "–")]
    assert data_of("list", "ana")["memories"] == [exam, data_of("list", "ana")["memories"][1]]
    assert [each["content"] for each in data_of("list", "eva")["memories"]] == ["Vive en Quito."]

    assert done("forget", "ana", lima) == "Forgotten.\n"
    assert data_of("list", "ana") == {"remembers": None, "memories": [exam]}
    assert json.loads(done("export", "ana"))["memories"] == [exam]
    file = data.parent / "ana.json"
    assert done("export", "ana", "--output", str(file)) == ""
    assert json.loads(file.read_text("utf-8"))["memories"] == [exam]
    assert not any(b"Lima" in path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert done("list", "nobody") == "Nothing is remembered of nobody.\n"


def test_the_same_again_is_not_kept_twice_and_what_is_replaced_is_history() -> None:
    first = done("add", "ana", "Vive en Lima.").strip()
    assert done("add", "ana", "vive en lima") == "It is remembered already.\n"
    assert data_of("add", "ana", "Vive en Lima.") == {"memory": None}
    second = data_of("add", "ana", "Vive en Lima.", "--until", "2999-05-01")["memory"]["id"]
    assert [each["id"] for each in data_of("list", "ana")["memories"]] == [second]
    history = data_of("list", "ana", "--past")["memories"]
    assert [(each["id"], each["replaced_by"]) for each in history] == [
        (second, None),
        (first, second),
    ]
    assert data_of("export", "ana")["memories"] == history
    ended_at = datetime.fromisoformat(history[1]["valid_until"])
    listed = " ".join(done("list", "ana", "--past").split())
    assert f"Held until {local_time(ended_at)}. In its place: Vive en Lima." in listed
    assert listed.count("Held until") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "ana", "  "), "in a sentence"),
        (("add", "ana", "x" * 501), "500 characters at most"),
        (("add", "ana", "Vive en Lima.", "--until", "mañana"), "mañana is not a day"),
        (("add", " ", "Vive en Lima."), "Say whose"),
        (("forget", "ana", "7"), "7 is not a fact's id"),
        (("forget", "ana", str(uuid4())), "Nothing is remembered of this person under this id"),
    ],
)
def test_bad_input_says_what_is_wrong(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_nobody_forgets_anothers_fact() -> None:
    fact = done("add", "ana", "Vive en Lima.").strip()
    assert run("forget", "eva", fact).exit_code == 2
    assert len(data_of("list", "ana")["memories"]) == 1


def test_whoever_does_not_want_to_be_remembered_is_not(data: Path) -> None:
    async def switch_off() -> None:
        journal = await Journal.connect(data / "journal.db")
        await owner.choose(journal, "ana", False)
        await journal.aclose()

    asyncio.run(switch_off())
    refused = run("add", "ana", "Vive en Lima.")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "They do not want to be remembered. Nothing was added." in refused.stderr
    listed = run("list", "ana")
    assert listed.exit_code == 0
    assert "They do not want to be remembered." in listed.stderr
    assert data_of("list", "ana") == {"remembers": False, "memories": []}


def test_a_machine_that_keeps_nothing_yet_says_so() -> None:
    result = run("list", "ana")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is nothing kept yet" in result.stderr
