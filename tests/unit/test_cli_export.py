"""`sonora conversations export`, and what it and its neighbours do with input they cannot use."""

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner, Result

from simulators.clients.kept_journal import HOSTILE, START, Kept, add_cut_turn, write_journal
from sonora_app.cli import app
from sonora_app.storage.records import uuid7

pytestmark = pytest.mark.unit


def run(*arguments: str) -> Result:
    """Run the command as a shell would, in this process."""
    return CliRunner().invoke(app, ["conversations", *arguments])


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine with no `.env`; gives its data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def kept(machine: Path) -> Kept:
    """What the machine's journal holds."""
    return write_journal(machine / "journal.db")


@pytest.mark.parametrize("command", [["show"], ["export", "--format", "markdown"]])
def test_what_was_said_cannot_drive_the_terminal(kept: Kept, command: list[str]) -> None:
    result = run(*command, str(kept.talk))

    assert "no stars" in result.stdout
    assert "\x1b" not in result.stdout


def test_export_as_markdown_shows_what_was_said_as_it_was_said(kept: Kept) -> None:
    result = run("export", str(kept.talk), "--format", "markdown")

    assert result.exit_code == 0
    tokens = MarkdownIt().parse(result.stdout)
    said: list[str] = []
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type.startswith("blockquote") else 0
        if depth and token.type == "inline":
            assert all(
                child.type in ("text", "text_special", "softbreak", "hardbreak")
                for child in token.children or []
            ), "what was said became markup"
            said.append(
                "".join(
                    "\n" if child.type.endswith("break") else child.content
                    for child in token.children or []
                )
            )
    assert said == [
        "Hola, Ana.",
        "Quiero ir a Oaxaca",
        HOSTILE.replace("\x1b", ""),
        "¿Algo más?",
    ]
    headings = [
        (token.tag, following.content)
        for token, following in pairwise(tokens)
        if token.type == "heading_open"
    ]
    assert headings == [("h1", "Un viaje a Oaxaca"), ("h2", "Call 1"), ("h2", "Call 2")]
    assert "viajes, Oaxaca" in result.stdout


def test_a_turn_that_was_cut_in_two_is_shown_as_one(kept: Kept, machine: Path) -> None:
    call = json.loads(run("show", str(kept.talk), "--json").stdout)["sessions"][0]["id"]
    at = START + timedelta(seconds=30)
    add_cut_turn(machine / "journal.db", kept.talk, UUID(call), at)

    shown = run("show", str(kept.talk)).stdout
    assert "Quiero un vuelo a Madrid. Y otro a Sevilla. (cut in two)" in shown
    assert shown.index("Sevilla") < shown.index("Claro, bus (interrupted)") < shown.index("Hay dos")
    markdown = run("export", str(kept.talk), "--format", "markdown").stdout
    assert "> Quiero un vuelo a Madrid. Y otro a Sevilla.\n" in markdown
    assert markdown.count("cut in two") == 1


def test_a_note_stays_a_note_in_markdown(kept: Kept) -> None:
    note = "First line.\n\n# *Heading*\n\n- <b>item</b>\n\x1b[31m| = 1+1"
    assert run("label", "last", "odd", "--turn", "2", "--note", note).exit_code == 0
    assert run("label", "last", "whole", "--note", note).exit_code == 0

    tokens = MarkdownIt().parse(run("export", "last", "--format", "markdown").stdout)

    text = [
        "".join(each.content or " " for each in token.children or [] if each.nesting == 0)
        for token in tokens
        if token.type == "inline"
    ]
    shown = "First line. # *Heading* - <b>item</b> [31m| = 1+1"
    assert [each for each in text if "Heading" in each] == [
        f"Labels: whole · {shown}",
        f"Label: odd · {shown}",
    ]


def test_export_as_json_is_what_show_gives(kept: Kept) -> None:
    shown = run("show", str(kept.talk), "--json").stdout

    assert run("export", str(kept.talk)).stdout == shown
    assert run("export", str(kept.talk), "--format", "markdown", "--json").stdout == shown


def test_export_to_a_file(kept: Kept, tmp_path: Path) -> None:
    result = run("export", str(kept.talk), "--output", str(tmp_path / "talk.json"))
    failed = run("export", str(kept.talk), "--output", str(tmp_path / "no" / "talk.json"))

    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads((tmp_path / "talk.json").read_text("utf-8"))["conversation"]["id"] == str(
        kept.talk
    )
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "talk.json cannot be written: No such file or directory." in failed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "not-an-id"],
        ["export", "not-an-id", "--format", "markdown"],
        ["show"],
        ["list", "--limit", "0"],
        ["list", "--no-such-option"],
        ["forget"],
    ],
)
def test_bad_input_is_2(kept: Kept, arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_format_is_2(kept: Kept) -> None:
    result = run("export", str(kept.talk), "--format", "pdf")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "'json', 'markdown'" in result.stderr


@pytest.mark.parametrize("command", ["show", "export"])
def test_an_unknown_conversation_is_2(kept: Kept, command: str) -> None:
    identifier = str(uuid7())
    result = run(command, identifier)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"There is no conversation {identifier}.\n"
        "`uv run sonora conversations list` shows which there are.\n"
    )


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", str(uuid7())]])
def test_nothing_kept_yet_is_1(machine: Path, arguments: list[str]) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing kept yet" in result.stderr
    assert not machine.exists(), "reading made the data folder"


def test_a_journal_that_is_none_is_1(machine: Path) -> None:
    machine.mkdir()
    (machine / "journal.db").write_text("not a database, and long enough to be looked at" * 99)
    result = run("list")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "not a journal" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_setting_that_cannot_be_used_is_1(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONORA_IDLE_SECS", "soon")
    result = run("list")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "SONORA_IDLE_SECS" in result.stderr
    assert "soon" not in result.stderr
